#include "raft/invariants.h"

#include "raft/core.h"
#include "raft/id_set.h"

namespace multiraft::raft {
namespace {

template <class... Parts>
std::string broken(const Core& core, const Parts&... parts) {
  std::string text;
  append_part(text, "replica ");
  append_part(text, core.id());
  append_part(text, ": ");
  (append_part(text, parts), ...);
  return text;
}

std::string check_log(const Core& core) {
  const LogView& log = core.log();
  const LogIndex last = log.last_index();
  // While a snapshot is on its way, what is applied lies before the log.
  if (!log.has_snapshot() && log.first_index() > log.applied() + 1) {
    return broken(core, "the log begins at ", log.first_index(), " but applied is ", log.applied());
  }
  if (log.applied() > log.applying() || log.applying() > log.committed() ||
      log.committed() > last) {
    return broken(core, "applied ", log.applied(), " <= applying ", log.applying(),
                  " <= committed ", log.committed(), " <= last ", last, " does not hold");
  }
  const Unstable& unstable = log.unstable();
  if (unstable.offset_in_progress() < unstable.offset() ||
      unstable.offset_in_progress() > unstable.offset() + unstable.size()) {
    return broken(core, "the part in progress is outside of the unstable tail");
  }
  LogIndex expected = unstable.offset();
  Term previous;
  for (const Entry& entry : unstable.entries()) {
    if (entry.index != expected || entry.term < previous || entry.term > core.term()) {
      return broken(core, "unstable entry ", entry.term, "/", entry.index, " is out of order");
    }
    previous = entry.term;
    ++expected;
  }
  if (!log.has_snapshot() && unstable.offset() > log.storage().last_index() + 1) {
    return broken(core, "there is a gap between storage and the unstable tail");
  }
  return {};
}

std::string check_member(const Core& core, const Progress& member) {
  const LogIndex last = core.log().last_index();
  if (member.match >= member.next || member.match > last) {
    return broken(core, "member ", member.id, " has match ", member.match, ", next ", member.next,
                  ", the log ends at ", last);
  }
  if (member.learner != contains(core.conf().learners, member.id)) {
    return broken(core, "member ", member.id, " is taken for a learner or not, wrongly");
  }
  if (member.inflights.count() > core.config().inflight_messages_max) {
    return broken(core, "the window of member ", member.id, " is overfull");
  }
  const bool has_snapshot = member.pending_snapshot() != LogIndex();
  if (has_snapshot && member.state() != ProgressState::kSnapshot) {
    return broken(core, "member ", member.id, " has a snapshot pending but does not wait for it");
  }
  if (member.state() == ProgressState::kReplicate && member.next > last + 1) {
    return broken(core, "member ", member.id, " was sent what does not exist");
  }
  return {};
}

std::string check_leading(const Core& core, const LeaderRole& leader) {
  const std::vector<ReplicaId> members = members_of(core.conf());
  if (leader.progress.size() != members.size()) {
    return broken(core, "progress of ", leader.progress.size(), " members in ", core.conf());
  }
  for (size_t i = 0; i < members.size(); ++i) {
    if (leader.progress[i].id != members[i]) return broken(core, "progress of a non-member");
    const std::string wrong = check_member(core, leader.progress[i]);
    if (!wrong.empty()) return wrong;
  }
  const LogIndex last = core.log().last_index();
  if (leader.term_start > last || !core.log().matches({core.term(), last})) {
    return broken(core, "leads without an entry of its own at the end of the log");
  }
  if (leader.pending_conf_index > last) return broken(core, "awaits a change that does not exist");
  if (leader.reads.held.size() + leader.reads.waiting.size() > core.config().pending_reads_max) {
    return broken(core, "too many reads wait");
  }
  if (core.committed_in_term() && !leader.reads.held.empty()) {
    return broken(core, "holds reads although it has committed in its term");
  }
  return {};
}

}  // namespace

std::string check_invariants(const Raft& raft) {
  const Core& core = raft.core();
  std::string wrong = check_log(core);
  if (!wrong.empty()) return wrong;
  if (const Status conf = check_conf_state(core.conf()); !conf.is_ok()) {
    return broken(core, conf.message());
  }
  for (const Message& message : core.unsent()) {
    if (message.to == core.id()) return broken(core, "a message to itself among those to send");
    if (message.type == MessageType::kAppResp || message.type == MessageType::kVoteResp) {
      return broken(core, "an answer would leave before what it asserts is durable");
    }
  }
  if (core.role() == Role::kCandidate && core.vote() != core.id()) {
    return broken(core, "a candidate that did not vote for itself");
  }
  if (const LeaderRole* leader = core.leader_role()) return check_leading(core, *leader);
  return {};
}

std::string GroupInvariants::after_step(const Raft& raft) {
  std::string wrong = check_invariants(raft);
  if (wrong.empty()) wrong = check_progress_in_time(raft);
  if (wrong.empty()) wrong = check_leader(raft);
  if (wrong.empty()) wrong = check_commits(raft);
  return wrong;
}

std::string GroupInvariants::check_progress_in_time(const Raft& raft) {
  const Core& core = raft.core();
  const HardState now = core.hard_state();
  HardState& before = last_[core.id()];
  if (now.term < before.term) return broken(core, "its term fell");
  if (now.commit < before.commit) return broken(core, "its commit index fell");
  if (now.vote) {
    const auto [vote, first] = votes_.try_emplace({core.id(), now.term}, now.vote);
    if (!first && vote->second != now.vote) return broken(core, "voted twice in term ", now.term);
  }
  before = now;
  return {};
}

std::string GroupInvariants::check_leader(const Raft& raft) {
  const Core& core = raft.core();
  if (core.role() != Role::kLeader) return {};
  const auto [known, first] = leaders_.try_emplace(core.term(), core.id());
  if (known->second != core.id()) {
    return broken(core, "leads term ", core.term(), " as ", known->second, " does");
  }
  // Leader completeness. By log matching the newest committed entry stands for all before it.
  if (first && !commits_.empty()) {
    const auto& [index, term] = *commits_.rbegin();
    const bool compacted = index < core.log().first_index();
    if (!compacted && !core.log().matches({term, index})) {
      return broken(core, "was elected without committed entry ", term, "/", index);
    }
  }
  return {};
}

std::string GroupInvariants::check_commits(const Raft& raft) {
  const Core& core = raft.core();
  const LogView& log = core.log();
  for (LogIndex index = log.committed(); index >= log.first_index(); index = index - 1) {
    const Result<Term> term = log.term(index);
    if (!term.is_ok()) return broken(core, "does not know the term of committed ", index);
    const auto [known, first] = commits_.try_emplace(index, *term);
    if (known->second != *term) {
      return broken(core, "committed ", *term, "/", index, ", others ", known->second);
    }
    if (!first) break;  // By log matching the ones before agree, too.
  }
  return {};
}

std::string GroupInvariants::on_applied(ReplicaId replica, const Entry& entry) {
  const auto [known, first] = applied_.try_emplace(entry.index, entry);
  if (known->second == entry) return {};
  return "replica " + to_string(replica) + ": applied another entry at " + to_string(entry.index);
}

void GroupInvariants::on_restart(ReplicaId replica, const HardState& durable) {
  last_[replica] = durable;
}

}  // namespace multiraft::raft
