#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/coverage.h"
#include "raft/core.h"

namespace multiraft::raft {
namespace {

void record(Ballot& ballot, ReplicaId voter, bool granted) {
  for (const auto& [known, vote] : ballot.votes) {
    if (known == voter) return;
  }
  ballot.votes.emplace_back(voter, granted);
}

VoteResult count(const Ballot& ballot, const ConfState& conf) {
  return quorum_vote(conf, [&](ReplicaId voter) {
    for (const auto& [known, granted] : ballot.votes) {
      if (known == voter) return granted ? 1 : -1;
    }
    return 0;
  });
}

bool has_granted(const Ballot& ballot, ReplicaId voter) {
  return std::find(ballot.votes.begin(), ballot.votes.end(), std::pair(voter, true)) !=
         ballot.votes.end();
}

}  // namespace

// -- Candidates.

void Core::campaign() { start_campaign(config_.pre_vote ? Campaign::kPreVote : Campaign::kVote); }

bool Core::promotable() const {
  // Learners never ask for votes. While a snapshot is on its way to storage neither the log nor the
  // configuration is this replica's own yet.
  return electable_ && is_voter(conf_, id()) && !log_.has_snapshot();
}

bool Core::has_unapplied_conf_change() const {
  return log_.applied() < log_.committed() &&
         log_.has_conf_change(log_.applied() + 1, log_.committed() + 1);
}

void Core::start_campaign(Campaign kind) {
  if (leader_role()) {
    log_debug(id(), " leads already and does not campaign");
    return;
  }
  if (!promotable()) {
    log_warn(id(), " is unpromotable and can not campaign");
    return;
  }
  // The order to take over comes from the leader that was promised to, or from one that could not
  // have been elected before the promise had lapsed.
  if (kind != Campaign::kTransfer && promise_runs() && !only_voter()) {
    MR_COVERAGE("raft: campaign refused over a promise");
    log_info(id(), " does not campaign at term ", term_, ": it promised to stay with a leader");
    return;
  }
  if (has_unapplied_conf_change()) {
    // Its quorum may be of a configuration that the others have left (trap 8).
    MR_COVERAGE("raft: campaign with an unapplied configuration change refused");
    log_warn(id(), " does not campaign at term ", term_,
             ": a committed configuration change is not applied yet");
    return;
  }
  log_info(id(), " starts an election at term ", term_);
  request_votes(kind);
}

void Core::request_votes(Campaign kind) {
  const bool pre_vote = kind == Campaign::kPreVote;
  Term vote_term = term_ + 1;
  if (pre_vote) {
    become_pre_candidate();
  } else {
    become_candidate();
    vote_term = term_;
  }
  const LogPosition last = log_.last();
  for (ReplicaId voter : voters_of(conf_)) {
    Message message;
    message.to = voter;
    message.term = vote_term;
    if (voter == id()) {
      // Its own vote counts when it is durable, like any other.
      message.type = pre_vote ? MessageType::kPreVoteResp : MessageType::kVoteResp;
    } else {
      message.type = pre_vote ? MessageType::kPreVote : MessageType::kVote;
      message.index = last.index;
      message.log_term = last.term;
      message.leadership_transfer = kind == Campaign::kTransfer;
    }
    send(std::move(message));
  }
}

void Core::handle_vote_response(const Message& message) {
  const bool pre_vote = message.type == MessageType::kPreVoteResp;
  Ballot* ballot = nullptr;
  if (auto* candidate = std::get_if<CandidateRole>(&role_)) {
    if (!pre_vote) ballot = &candidate->ballot;
  } else if (auto* pre_candidate = std::get_if<PreCandidateRole>(&role_)) {
    // A grant is for the term that this round is about; an older round asked for another one.
    const Term expected = message.reject ? term_ : term_ + 1;
    if (pre_vote && message.term == expected) ballot = &pre_candidate->ballot;
  }
  if (ballot == nullptr) return;

  record(*ballot, message.from, !message.reject);
  log_info(id(), " has ", message.reject ? "a rejection" : "the vote", " of ", message.from,
           " at term ", term_);
  switch (count(*ballot, conf_)) {
    case VoteResult::kPending:
      return;
    case VoteResult::kLost:
      // Waits for its timer like everybody else; the term stays.
      become_follower(term_, kNoReplica);
      return;
    case VoteResult::kWon:
      if (pre_vote) {
        request_votes(Campaign::kVote);
      } else if (!promotable()) {
        become_follower(term_, kNoReplica);
      } else if (!has_granted(*ballot, id())) {
        // The others' votes suffice, but this term is not on the own disk yet. Leading now and
        // crashing would let this replica forget the term, be elected in it once more by the same
        // votes, and put other entries at the same indexes of the same term.
        MR_COVERAGE("raft: elected before the own vote is durable");
      } else {
        become_leader();
        broadcast_appends(*leading());
      }
      return;
  }
}

// -- Voters.

bool Core::promise_runs() const { return ticks_ < promised_until_tick_; }

bool Core::only_voter() const {
  return !is_joint(conf_) && conf_.voters.size() == 1 && conf_.voters[0] == id();
}

bool Core::keeps_its_leader() const {
  if (!config_.check_quorum) return false;
  if (promise_runs()) return true;
  return leader() != kNoReplica && election_elapsed_ < config_.election_ticks;
}

void Core::handle_vote_request(const Message& message) {
  const bool pre_vote = message.type == MessageType::kPreVote;
  // A replica with a leader has no reason to elect another one of the same term. The vote is
  // decided and recorded here and nowhere else (trap 4). Learners vote when asked: they may have
  // been promoted without knowing it yet (trap 22).
  const bool may_vote = vote_ == message.from || (vote_ == kNoReplica && leader() == kNoReplica) ||
                        (pre_vote && message.term > term_);
  // A request of this replica's own term comes here without having been weighed against the
  // promise: it may have learnt the term from a message that overtook the leader's (trap 17).
  const bool promised = promise_runs() && !message.leadership_transfer;
  const bool granted =
      may_vote && !promised && log_.is_up_to_date({message.log_term, message.index});

  Message answer;
  answer.type = pre_vote ? MessageType::kPreVoteResp : MessageType::kVoteResp;
  answer.to = message.from;
  // The term that was asked for, so that the candidate knows which round it belongs to: after a
  // pre-vote it is not this replica's own.
  answer.term = granted ? message.term : term_;
  log_info(id(), granted ? " grants " : " rejects ", message_type_name(message.type), " of ",
           message.from, " for term ", message.term);
  if (!granted) return reject_vote(std::move(answer));
  send(std::move(answer));
  if (!pre_vote) {
    election_elapsed_ = 0;
    vote_ = message.from;
  }
}

void Core::reject_vote(Message answer) {
  answer.reject = true;
  const Result<Term> term = log_.term(log_.committed());
  if (config_.commit_in_rejections && term.is_ok()) {
    answer.commit = log_.committed();
    answer.log_term = *term;
  }
  send(std::move(answer));
}

void Core::learn_commit(const Message& rejection) {
  // What is committed stays so, whatever the term: with the same entry at that index the logs are
  // equal up to it.
  if (rejection.commit <= log_.committed() || leader_role()) return;
  if (!log_.matches({rejection.log_term, rejection.commit})) return;
  MR_COVERAGE("raft: commit index learnt from a rejected vote");
  log_info(id(), " learns from ", rejection.from, " that index ", rejection.commit,
           " is committed");
  log_.commit_to(rejection.commit);
  // A campaign counts votes of a configuration that may just have been found to be outdated. It
  // begins again when what is committed is applied (trap 8).
  if (following() == nullptr) become_follower(term_, kNoReplica);
}

// -- Leadership and quorum.

void Core::check_quorum_active(LeaderRole& leader) {
  const VoteResult active = quorum_vote(conf_, [&](ReplicaId voter) {
    if (voter == id()) return 1;
    const Progress* member = find_progress(leader.progress, voter);
    return member != nullptr && member->recent_active ? 1 : -1;
  });
  if (active != VoteResult::kWon) {
    log_warn(id(), " steps down at term ", term_, ": it does not hear from a quorum");
    become_follower(term_, kNoReplica);
    return;
  }
  for (Progress& member : leader.progress) member.recent_active = member.id == id();
}

void Core::forget_leader() {
  if (config_.promise_ms > 0) {
    log_error(id(), " does not forget its leader: leases rest on it");
    return;
  }
  FollowerRole* follower = following();
  if (follower == nullptr || follower->leader == kNoReplica) return;
  log_info(id(), " forgets leader ", follower->leader, " at term ", term_);
  fail_reads();
  follower->leader = kNoReplica;
}

void Core::step_down() {
  if (following() != nullptr) return;
  log_info(id(), " steps down at term ", term_, ": it was told to");
  become_follower(term_, kNoReplica);
}

void Core::transfer_leadership(ReplicaId to) {
  LeaderRole* leader = leading();
  if (leader == nullptr) {
    log_info(id(), " does not lead and has nothing to hand over");
    return;
  }
  Progress* target = find_progress(leader->progress, to);
  if (target == nullptr || target->learner) {
    log_info(id(), " does not hand over to ", to, ": it is no voter");
    return;
  }
  if (leader->transfer_target == to) return;
  if (leader->transfer_target) abort_transfer(*leader);
  if (to == id()) return;
  log_info(id(), " hands over to ", to, " at term ", term_);
  leader->transfer_target = to;
  election_elapsed_ = 0;  // It has one election timeout from now.
  if (target->match == log_.last_index()) {
    send_timeout_now(*leader);
  } else {
    target->unpause();
    send_append(*target, true);
  }
}

void Core::send_timeout_now(LeaderRole& leader) {
  // From here on somebody may be elected in spite of the members' promise to stay, even long after
  // this transfer was given up: no lease of this term holds any more (trap 18).
  leader.timeout_now_sent = true;
  Message message;
  message.type = MessageType::kTimeoutNow;
  message.to = leader.transfer_target;
  send(std::move(message));
}

void Core::abort_transfer(LeaderRole& leader) {
  log_info(id(), " gives up handing over to ", leader.transfer_target);
  leader.transfer_target = kNoReplica;
}

void Core::handle_timeout_now(const Message& message) {
  if (following() == nullptr) return;
  log_info(id(), " campaigns at term ", term_, " because ", message.from, " hands over");
  // No pre-vote: it would fail among those who hear the old leader.
  start_campaign(Campaign::kTransfer);
}

bool Core::lease_possible() const {
  const LeaderRole* leader = leader_role();
  return leader != nullptr && committed_in_term() && !leader->transfer_target &&
         !leader->timeout_now_sent;
}

}  // namespace multiraft::raft
