#include "kv/command.h"

#include <cstring>
#include <limits>

#include "base/assert.h"
#include "base/bytes.h"

namespace multiraft::kv {
namespace {

// version u8, kind u8, key size u16, key, and for a put the value up to the end of the payload.
constexpr size_t kHeaderBytes = 4;
static_assert(limits::kKeyBytesMax <= std::numeric_limits<uint16_t>::max());
static_assert(kHeaderBytes + limits::kKeyBytesMax + limits::kValueBytesMax <=
              limits::kProposalBytesMax);

bool known_kind(uint8_t kind) {
  return kind == static_cast<uint8_t>(CommandKind::kPut) ||
         kind == static_cast<uint8_t>(CommandKind::kDelete);
}

SharedBytes encode(CommandKind kind, std::string_view key, std::string_view value) {
  MR_ASSERT(valid_key(key));
  MR_ASSERT(valid_value(value));
  return SharedBytes::make(kHeaderBytes + key.size() + value.size(), [&](char* out) {
    const auto key_size = static_cast<uint16_t>(key.size());
    out[0] = static_cast<char>(kCommandVersion);
    out[1] = static_cast<char>(kind);
    std::memcpy(out + 2, &key_size, sizeof key_size);
    std::memcpy(out + kHeaderBytes, key.data(), key.size());
    if (!value.empty()) std::memcpy(out + kHeaderBytes + key.size(), value.data(), value.size());
  });
}

}  // namespace

std::string_view result_code_name(uint64_t code) {
  switch (static_cast<ResultCode>(code)) {
    case ResultCode::kApplied:
      return "APPLIED";
    case ResultCode::kNotFound:
      return "NOT_FOUND";
    case ResultCode::kBadCommand:
      return "BAD_COMMAND";
    case ResultCode::kUnknownCommand:
      return "UNKNOWN_COMMAND";
    case ResultCode::kTooLarge:
      return "TOO_LARGE";
  }
  return "UNKNOWN_CODE";
}

SharedBytes encode_put(std::string_view key, std::string_view value) {
  return encode(CommandKind::kPut, key, value);
}

SharedBytes encode_delete(std::string_view key) { return encode(CommandKind::kDelete, key, {}); }

bool grows(std::string_view payload) {
  CommandView command;
  return decode_command(payload, command) == ResultCode::kApplied &&
         command.kind == CommandKind::kPut;
}

Status check_known(std::string_view payload) {
  ByteReader in(payload);
  const uint8_t version = in.u8();
  const uint8_t kind = in.u8();
  if (in.failed() || (version == kCommandVersion && known_kind(kind))) return Status::ok();
  return {StatusCode::kUnsupported, "a key-value command of version " + std::to_string(version) +
                                        " and kind " + std::to_string(kind) +
                                        " is not known to this program"};
}

uint32_t version_needed(std::string_view payload) {
  if (payload.size() < 2) return 1;
  switch (static_cast<CommandKind>(payload[1])) {
    case CommandKind::kPut:
    case CommandKind::kDelete:
      return 1;
  }
  // Nobody proposes it.
  return std::numeric_limits<uint32_t>::max();
}

ResultCode decode_command(std::string_view payload, CommandView& out) {
  ByteReader in(payload);
  const uint8_t version = in.u8();
  const uint8_t kind = in.u8();
  if (in.failed()) return ResultCode::kBadCommand;
  // Version and kind are judged before anything else: what follows them is theirs to define.
  if (version != kCommandVersion || !known_kind(kind)) return ResultCode::kUnknownCommand;
  out.kind = static_cast<CommandKind>(kind);
  out.key = in.bytes(in.u16());
  out.value = out.kind == CommandKind::kPut ? in.bytes(in.remaining()) : std::string_view();
  if (!in.complete() || out.key.empty()) return ResultCode::kBadCommand;
  if (!valid_key(out.key) || !valid_value(out.value)) return ResultCode::kTooLarge;
  return ResultCode::kApplied;
}

}  // namespace multiraft::kv
