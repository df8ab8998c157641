// step(any message) on a group of three. The input is a program: it ticks, proposes, completes
// writes, delivers, loses and repeats what the replicas send, and hands them messages made from its
// bytes. Forged messages may say anything, so that replicas may come to disagree; what must hold is
// that no replica crashes and that each keeps its own invariants. A program without forged messages
// must keep those of the group, too.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "raft/conf_change.h"
#include "raft/core.h"
#include "raft/invariants.h"
#include "raft/testing/group.h"

namespace multiraft::raft {
namespace {

using testing::bytes;
using testing::conf_of;
using testing::Replica;
using testing::test_config;

constexpr size_t kStepsMax = 400;
constexpr size_t kNetworkMax = 256;
constexpr uint64_t kReplicas = 3;

/// Zeros once the input is used up.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool done() const { return at_ >= size_; }
  uint8_t byte() { return done() ? 0 : data_[at_++]; }
  /// Mostly small, sometimes as large as it gets.
  uint64_t number() {
    const uint8_t value = byte();
    return value < 0xf0 ? value % 16 : ~uint64_t{0} - (value - 0xf0U);
  }

 private:
  const uint8_t* data_;
  size_t size_;
  size_t at_ = 0;
};

Entry make_entry(Input& input, LogIndex index, Term term) {
  const uint8_t kind = input.byte();
  Entry entry;
  entry.index = kind % 16 == 15 ? LogIndex(input.number()) : index;
  entry.term = kind % 8 == 7 ? Term(input.number()) : term;
  entry.type = static_cast<EntryType>(kind / 16 < 12 ? 0 : kind / 16 - 12);
  if (kind % 2 == 1) entry.data = bytes(std::string(input.byte() % 8, static_cast<char>(kind)));
  return entry;
}

std::shared_ptr<const Snapshot> make_snapshot(Input& input) {
  Snapshot snapshot{LogIndex(input.number()), Term(input.number()), {}};
  const uint8_t voters = input.byte();
  const uint8_t learners = input.byte();
  for (uint64_t id = 1; id <= 4; ++id) {
    if ((voters >> id & 1U) != 0) snapshot.conf_state.voters.emplace_back(id);
    if ((voters >> (id + 4) & 1U) != 0 && id < 4) {
      snapshot.conf_state.voters_outgoing.emplace_back(id);
    }
    if ((learners >> id & 1U) != 0) snapshot.conf_state.learners.emplace_back(id);
  }
  snapshot.conf_state.auto_leave = (learners & 1U) != 0;
  return std::make_shared<const Snapshot>(std::move(snapshot));
}

Message make_message(Input& input, ReplicaId to) {
  Message message;
  message.type = static_cast<MessageType>(input.byte() % 32);
  message.from = ReplicaId(input.number());
  message.to = to;
  message.term = Term(input.number());
  message.log_term = Term(input.number());
  message.index = LogIndex(input.number());
  message.commit = LogIndex(input.number());
  message.vote = ReplicaId(input.number());
  message.reject_hint = LogIndex(input.number());
  message.read_id = ReadId(input.number());
  const uint8_t flags = input.byte();
  message.reject = (flags & 1U) != 0;
  message.leadership_transfer = (flags & 2U) != 0;
  LogIndex index = message.index;
  for (uint8_t n = flags >> 2 & 3U; n > 0; --n) {
    index = index + 1;
    message.entries.push_back(make_entry(input, index, message.term));
  }
  if ((flags & 16U) != 0) message.snapshot = make_snapshot(input);
  return message;
}

void demand(const std::string& wrong) {
  if (wrong.empty()) return;
  std::fprintf(stderr, "%s\n", wrong.c_str());
  std::abort();
}

class Program {
 public:
  Program(const uint8_t* data, size_t size) : input_(data, size) {
    const uint8_t options = input_.byte();
    for (uint64_t id = 1; id <= kReplicas; ++id) {
      Config config = test_config(id);
      config.pre_vote = (options & 1U) != 0;
      config.check_quorum = (options & 2U) != 0;
      if ((options & 4U) != 0) config.inflight_messages_max = 2;
      if ((options & 8U) != 0) config.message_bytes_max = 1;
      if ((options & 16U) != 0) config.committed_bytes_per_ready_max = 1;
      if ((options & 34U) == 34U) config.promise_ms = 1'000;
      config.random_seed = options + id;
      replicas_.push_back(std::make_unique<Replica>(config, conf_of({1, 2, 3})));
    }
  }

  void run() {
    for (size_t step = 0; step < kStepsMax && !input_.done(); ++step) {
      const uint8_t action = input_.byte();
      Replica& replica = *replicas_[action % kReplicas];
      act(action / kReplicas % 16, replica);
      demand(check_invariants(replica.core()));
      if (!forged_) demand(group_.after_step(replica.core()));
      for (Message& message : replica.take_sent()) {
        if (network_.size() < kNetworkMax) network_.push_back(std::move(message));
      }
    }
  }

 private:
  void act(int action, Replica& replica) {
    switch (action) {
      case 0:
      case 1:
      case 2:
        return deliver(false);
      case 3:
        return deliver(true);
      case 4:
        if (!network_.empty()) network_.pop_front();
        return;
      case 5:
      case 6:
        replica.tick();
        return;
      case 7:
        replica->campaign();
        break;
      case 8:
        (void)replica->propose({bytes("p")});
        break;
      case 9:
        propose_change(replica);
        break;
      case 10:
        replica->read_index(ReadId(++reads_));
        break;
      case 11:
        replica->transfer_leadership(ReplicaId(input_.byte() % (kReplicas + 1)));
        break;
      case 12:
        replica.hold_appends = !replica.hold_appends;
        break;
      case 13:
        if (!replica.appends.empty()) replica.complete_append();
        return;
      case 14:
        replica->report_unreachable(ReplicaId(input_.number()));
        replica->report_snapshot(ReplicaId(input_.number()), input_.byte() % 2 == 0);
        break;
      default:
        forged_ = true;
        (void)replica.receive(make_message(input_, replica->id()));
        return;
    }
    replica.pump();
  }

  void deliver(bool keep) {
    if (network_.empty()) return;
    const size_t at = input_.byte() % network_.size();
    Message message = network_[at];
    if (!keep) network_.erase(network_.begin() + static_cast<ptrdiff_t>(at));
    if (message.to.value == 0 || message.to.value > kReplicas) return;
    Replica& to = *replicas_[message.to.value - 1];
    (void)to.receive(std::move(message));
    demand(check_invariants(to.core()));
    if (!forged_) demand(group_.after_step(to.core()));
  }

  void propose_change(Replica& replica) {
    ConfChange change;
    const uint8_t what = input_.byte();
    change.transition = static_cast<ConfChangeTransition>(what % 3);
    for (uint8_t n = what / 3 % 3; n > 0; --n) {
      ConfChangeSingle single;
      single.op = static_cast<ConfChangeOp>(input_.byte() % 4);
      single.replica = ReplicaId(input_.byte() % 5 + 1);
      change.changes.push_back(single);
    }
    (void)replica->propose_conf_change(change);
  }

  Input input_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::deque<Message> network_;
  GroupInvariants group_;
  uint64_t reads_ = 0;
  bool forged_ = false;
};

}  // namespace
}  // namespace multiraft::raft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  multiraft::raft::Program(data, size).run();
  return 0;
}
