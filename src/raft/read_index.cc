// Linearizable reads (thesis 6.4).
//
// A read may be served at the commit index of the moment it was asked, once it is certain that its
// leader was still the leader at some moment after that. The certainty comes from rounds of
// heartbeats. Each broadcast has a number of its own; a member's answer repeats it. When a quorum
// has answered round r or a later one, every read that was asked before round r was sent is
// confirmed:
//
//   read 7 asked ---- round 12 sent ---- a quorum has answered rounds >= 12 ---- read 7 answered
//
// An answer to an older round proves nothing about a newer read (trap 15). Rounds are never
// repeated: after a loss the next heartbeat is a new, newer round, which confirms older reads
// too.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/coverage.h"
#include "raft/core.h"

namespace multiraft::raft {

void Core::read_index(ReadId read, ReadMode mode) {
  if (LeaderRole* leader = leading()) {
    leader_read(*leader, id(), read, mode);
    return;
  }
  FollowerRole* follower = following();
  if (follower == nullptr || follower->leader == kNoReplica ||
      follower->reads.size() >= config_.pending_reads_max) {
    refuse_read(id(), read);
    return;
  }
  follower->reads.push_back({read, ticks_ + config_.election_ticks});
  Message message;
  message.type = MessageType::kReadIndex;
  message.to = follower->leader;
  message.read_id = read;
  message.lease = mode == ReadMode::kLease;
  send(std::move(message));
}

void Core::handle_read_request(const Message& message) {
  if (LeaderRole* leader = leading()) {
    leader_read(*leader, message.from, message.read_id,
                message.lease ? ReadMode::kLease : ReadMode::kConfirmed);
  } else {
    // An answer saves the asker its timeout (trap 14).
    refuse_read(message.from, message.read_id);
  }
}

void Core::leader_read(LeaderRole& leader, ReplicaId from, ReadId read, ReadMode mode) {
  const size_t pending = leader.reads.held.size() + leader.reads.waiting.size();
  // Rounds of heartbeats would keep the members from electing the target if it is slow (trap 19),
  // and a lease may be about to be overridden (trap 18).
  if (leader.transfer_target || pending >= config_.pending_reads_max) {
    MR_COVERAGE("raft: read refused during a transfer or beyond the limit");
    refuse_read(from, read);
    return;
  }
  PendingRead waiting{read, from, mode, LogIndex(), 0, ticks_ + config_.election_ticks};
  if (!committed_in_term()) {
    // The commit index may be older than what an earlier leader acknowledged (trap 13).
    leader.reads.held.push_back(waiting);
    return;
  }
  confirm_read(leader, waiting);
  release_confirmed_reads(leader);
}

void Core::confirm_read(LeaderRole& leader, PendingRead read) {
  read.index = log_.committed();
  const bool alone = conf_.voters.size() == 1 && conf_.voters[0] == id() && !is_joint(conf_);
  if (alone || (read.mode == ReadMode::kLease && lease_holds(leader))) {
    answer_read(read.from, read.id, read.index);
    return;
  }
  // Heartbeats that have not left yet will be sent after this moment: the read joins their round.
  if (!leader.reads.open) broadcast_heartbeats(leader);
  read.round = leader.reads.last_round;
  leader.reads.waiting.push_back(read);
}

void Core::release_held_reads(LeaderRole& leader) {
  if (leader.reads.held.empty() || !committed_in_term()) return;
  for (const PendingRead& read : std::exchange(leader.reads.held, {})) confirm_read(leader, read);
  release_confirmed_reads(leader);
}

void Core::note_round_sent(LeaderRole& leader) {
  ++leader.reads.last_round;
  leader.reads.open = true;
}

void Core::release_confirmed_reads(LeaderRole& leader) {
  ReadRounds& reads = leader.reads;
  if (reads.waiting.empty()) return;
  const uint64_t confirmed = quorum_index(conf_, [&](ReplicaId voter) {
    if (voter == id()) return reads.last_round;
    const Progress* member = find_progress(leader.progress, voter);
    return member == nullptr ? uint64_t{0} : member->acked_round;
  });

  size_t released = 0;
  while (released < reads.waiting.size() && reads.waiting[released].round <= confirmed) {
    const PendingRead& read = reads.waiting[released++];
    answer_read(read.from, read.id, read.index);
  }
  reads.waiting.erase(reads.waiting.begin(),
                      reads.waiting.begin() + static_cast<ptrdiff_t>(released));
}

bool Core::lease_holds(const LeaderRole& leader) const {
  if (config_.lease == nullptr) return false;
  if (!lease_possible()) return false;
  // The leader keeps the promise that it would have to give to itself: it grants no vote while it
  // leads.
  const uint64_t promised = quorum_index(conf_, [&](ReplicaId voter) {
    if (voter == id()) return leader.reads.last_round;
    const Progress* member = find_progress(leader.progress, voter);
    return member == nullptr ? uint64_t{0} : member->promised_round;
  });
  if (promised > 0 && config_.lease->holds(term_, promised)) return true;
  MR_COVERAGE("raft: lease refused");
  return false;
}

void Core::answer_read(ReplicaId from, ReadId read, LogIndex index) {
  if (from == id()) {
    read_states_.push_back({read, index, false});
    return;
  }
  Message message;
  message.type = MessageType::kReadIndexResp;
  message.to = from;
  message.read_id = read;
  message.index = index;
  send(std::move(message));
}

void Core::refuse_read(ReplicaId from, ReadId read) {
  if (from == id()) {
    read_states_.push_back({read, LogIndex(), true});
    return;
  }
  Message message;
  message.type = MessageType::kReadIndexResp;
  message.to = from;
  message.read_id = read;
  message.reject = true;
  send(std::move(message));
}

void Core::handle_read_response(const Message& message) {
  FollowerRole* follower = following();
  if (follower == nullptr || message.from != follower->leader) return;  // Only who was asked.
  const auto at = std::find_if(follower->reads.begin(), follower->reads.end(),
                               [&](const auto& read) { return read.id == message.read_id; });
  if (at == follower->reads.end()) return;  // It was given up meanwhile.
  read_states_.push_back({message.read_id, message.index, message.reject});
  follower->reads.erase(at);
}

void Core::fail_reads() {
  if (FollowerRole* follower = following()) {
    for (const ForwardedRead& read : std::exchange(follower->reads, {})) {
      refuse_read(id(), read.id);
    }
  }
  if (LeaderRole* leader = leading()) {
    for (auto* reads : {&leader->reads.held, &leader->reads.waiting}) {
      for (const PendingRead& read : std::exchange(*reads, {})) refuse_read(read.from, read.id);
    }
  }
}

void Core::expire_reads() {
  // Oldest first, and all wait equally long.
  const auto expire = [&](auto& reads, auto from_of) {
    size_t expired = 0;
    while (expired < reads.size() && reads[expired].deadline_tick <= ticks_) {
      MR_COVERAGE("raft: read expired");
      refuse_read(from_of(reads[expired]), reads[expired].id);
      ++expired;
    }
    reads.erase(reads.begin(), reads.begin() + static_cast<ptrdiff_t>(expired));
    if (reads.empty() && reads.capacity() > 0) reads.shrink_to_fit();
  };
  if (FollowerRole* follower = following()) {
    expire(follower->reads, [this](const ForwardedRead&) { return id(); });
  }
  if (LeaderRole* leader = leading()) {
    const auto from_of = [](const PendingRead& read) { return read.from; };
    expire(leader->reads.held, from_of);
    expire(leader->reads.waiting, from_of);
  }
}

}  // namespace multiraft::raft
