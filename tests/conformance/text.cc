#include "text.h"

#include <cstdio>

#include "raft/conf_change.h"

namespace multiraft::conformance {
namespace {

using namespace multiraft::raft;  // Tests of one module.

std::string number(uint64_t value) { return std::to_string(value); }

std::string ids_text(const std::vector<ReplicaId>& ids) {
  std::string text = "[";
  for (size_t i = 0; i < ids.size(); ++i) text += (i > 0 ? " " : "") + number(ids[i].value);
  return text + "]";
}

/// The code point at `at` and its length in bytes; length 0: not UTF-8.
std::pair<uint32_t, size_t> decode_utf8(std::string_view bytes, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char first = byte(at);
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length == 0 || first > 0xf4 || at + length > bytes.size()) return {0, 0};
  uint32_t point = first & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return {0, 0};
    point = (point << 6) | (byte(at + i) & 0x3fu);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = point >= 0xd800 && point < 0xe000;
  if (point < kSmallest[length] || point > 0x10ffff || surrogate) return {0, 0};
  return {point, length};
}

bool printable(uint32_t point) {
  if (point < 0xa1 || point == 0xad) return false;
  const bool separator = (point >= 0x2000 && point <= 0x200f) ||
                         (point >= 0x2028 && point <= 0x202f) || point == 0x3000 || point == 0xfeff;
  const bool private_use = (point >= 0xe000 && point < 0xf900) || point >= 0xf0000;
  return !separator && !private_use;
}

std::string escape(const char* format, uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string_view entry_type_name(EntryType type) {
  switch (type) {
    case EntryType::kNormal:
      return "EntryNormal";
    case EntryType::kConfChange:
      return "EntryConfChange";
    case EntryType::kConfChangeV2:
      return "EntryConfChangeV2";
  }
  return "EntryUnknown";
}

std::string_view state_name(ProgressState state) {
  switch (state) {
    case ProgressState::kProbe:
      return "StateProbe";
    case ProgressState::kReplicate:
      return "StateReplicate";
    case ProgressState::kSnapshot:
      return "StateSnapshot";
  }
  return "StateUnknown";
}

}  // namespace

std::string hex_id(ReplicaId id) {
  if (id == kNoReplica) return "None";
  if (id == kLocalAppend) return "AppendThread";
  if (id == kLocalApply) return "ApplyThread";
  char text[20];
  std::snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(id.value));
  return text;
}

std::string quoted(std::string_view bytes) {
  static constexpr std::string_view kEscaped = "\a\b\f\n\r\t\v\"\\";
  static constexpr std::string_view kNames = "abfnrtv\"\\";
  std::string text = "\"";
  for (size_t at = 0; at < bytes.size();) {
    const char c = bytes[at];
    if (const size_t special = kEscaped.find(c); special != std::string_view::npos) {
      text += '\\';
      text += kNames[special];
      ++at;
    } else if (c >= 0x20 && c < 0x7f) {
      text += c;
      ++at;
    } else if (const auto [point, length] = decode_utf8(bytes, at); length > 0) {
      if (printable(point)) {
        text += bytes.substr(at, length);
      } else {
        text += escape(point > 0xffff ? "\\U%08x" : "\\u%04x", point);
      }
      at += length;
    } else {
      text += escape("\\x%02x", static_cast<unsigned char>(c));
      ++at;
    }
  }
  return text + "\"";
}

std::string conf_change_text(const ConfChange& change) {
  std::string text;
  for (const ConfChangeSingle& single : change.changes) {
    if (!text.empty()) text += ' ';
    switch (single.op) {
      case ConfChangeOp::kAddVoter:
        text += 'v';
        break;
      case ConfChangeOp::kAddLearner:
        text += 'l';
        break;
      case ConfChangeOp::kRemove:
        text += 'r';
        break;
      case ConfChangeOp::kUpdate:
        text += 'u';
        break;
    }
    text += number(single.replica.value);
  }
  return text;
}

std::string entry_text(const Entry& entry) {
  std::string text = number(entry.term.value) + "/" + number(entry.index.value) + " ";
  text += entry_type_name(entry.type);
  if (entry.type == EntryType::kNormal) return text + " " + quoted(entry.data);
  const Result<ConfChange> change = decode_conf_change(entry.type, entry.data);
  if (!change.is_ok()) return text + " malformed";
  const std::string payload = conf_change_text(*change);
  return payload.empty() ? text : text + " " + payload;
}

std::string snapshot_text(const Snapshot& snapshot) {
  const ConfState& conf = snapshot.conf_state;
  return "Index:" + number(snapshot.index.value) + " Term:" + number(snapshot.term.value) +
         " ConfState:Voters:" + ids_text(conf.voters) +
         " VotersOutgoing:" + ids_text(conf.voters_outgoing) +
         " Learners:" + ids_text(conf.learners) + " LearnersNext:" + ids_text(conf.learners_next) +
         " AutoLeave:" + (conf.auto_leave ? "true" : "false");
}

std::string message_text(const Message& message, const std::string& indent) {
  const std::string deeper = indent + "  ";
  // The position in an apply response is ours; the files name its entries.
  const LogIndex index =
      message.type == MessageType::kStorageApplyResp ? LogIndex() : message.index;
  std::string text = hex_id(message.from) + "->" + hex_id(message.to) + " ";
  text += message_type_name(message.type);
  text += " Term:" + number(message.term.value) + " Log:" + number(message.log_term.value) + "/" +
          number(index.value);
  if (message.reject) text += " Rejected (Hint: " + number(message.reject_hint.value) + ")";
  if (message.commit) text += " Commit:" + number(message.commit.value);
  if (message.vote) text += " Vote:" + number(message.vote.value);
  if (message.entries.size() == 1) {
    text += " Entries:[" + entry_text(message.entries[0]) + "]";
  } else if (!message.entries.empty()) {
    text += " Entries:[";
    for (const Entry& entry : message.entries) text += "\n" + deeper + entry_text(entry);
    text += "\n" + indent + "]";
  }
  if (message.snapshot && message.snapshot->index) {
    text += "\n" + deeper + "Snapshot: " + snapshot_text(*message.snapshot);
  }
  if (!message.responses.empty()) {
    text += " Responses:[";
    for (const Message& response : message.responses) {
      text += "\n" + deeper + message_text(response, deeper);
    }
    text += "\n" + indent + "]";
  }
  return text;
}

std::string progress_text(const MemberProgress& progress) {
  std::string text(state_name(progress.state));
  text += " match=" + number(progress.match_index.value);
  text += " next=" + number(progress.next_index.value);
  if (progress.learner) text += " learner";
  if (progress.paused) text += " paused";
  if (progress.pending_snapshot) text += " pendingSnap=" + number(progress.pending_snapshot.value);
  if (!progress.recent_active) text += " inactive";
  if (progress.inflight_messages > 0) {
    text += " inflight=" + number(progress.inflight_messages);
    if (progress.inflight_full) text += "[full]";
  }
  return text;
}

std::string hard_state_text(const HardState& state) {
  std::string text = "Term:" + number(state.term.value);
  if (state.vote) text += " Vote:" + number(state.vote.value);
  return text + " Commit:" + number(state.commit.value);
}

}  // namespace multiraft::conformance
