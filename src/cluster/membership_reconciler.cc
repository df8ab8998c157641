#include "cluster/membership_reconciler.h"

#include <algorithm>
#include <utility>

#include "base/coverage.h"
#include "cluster/roll_call.h"

namespace multiraft::cluster {
namespace {

/// Groups under work at the same time: a node that leads thousands changes them a few at a time.
constexpr size_t kParallelMax = 32;

bool leads(const host::ReplicaStatus& status) {
  return status.raft.soft_state.role == raft::Role::kLeader;
}

/// What the registry's record and the replica's status ask for.
Step step_for(const registry::GroupRecord& record, const raft::RaftStatus& raft,
              LogIndex last_index, std::optional<std::vector<NodeId>> answered) {
  GroupFacts facts;
  facts.answered = std::move(answered);
  facts.leader = raft.id;
  facts.conf = raft.conf_state;
  facts.last_index = last_index;
  facts.members = raft.members;
  return next_step(record.members, facts);
}

std::string text_of(ReplicaId replica) {
  return " node " + to_string(replica.node()) + " replica " + std::to_string(replica.serial());
}

std::string text_of(GroupId group, const Step& step) {
  std::string text = "group " + to_string(group) + ": " + std::string(step_name(step.kind));
  if (step.changes.empty()) return text + text_of(step.replica);
  for (const raft::ConfChangeSingle& single : step.changes) {
    switch (single.op) {
      case raft::ConfChangeOp::kAddVoter:
        text += ", promote";
        break;
      case raft::ConfChangeOp::kAddLearner:
        text += ", demote";
        break;
      case raft::ConfChangeOp::kRemove:
        text += ", remove";
        break;
      case raft::ConfChangeOp::kUpdate:
        text += ", update";
        break;
    }
    text += text_of(single.replica);
  }
  return text;
}

}  // namespace

// -- The order of work.

void MembershipReconciler::mark(GroupId group) {
  auto [entry, fresh] = work_.try_emplace(group, context_.timing);
  ClusterAgent& work = entry->second;
  if (!fresh) {
    if (work.state == ClusterAgent::State::kRunning) work.again = true;
    if (work.state != ClusterAgent::State::kPaused) return;
    work.state = ClusterAgent::State::kQueued;
  }
  queue_.push_back(group);
  pump();
}

void MembershipReconciler::pump() {
  while (running_ < kParallelMax && !queue_.empty()) {
    const GroupId group = queue_.front();
    queue_.pop_front();
    work_.at(group).state = ClusterAgent::State::kRunning;
    ++running_;
    run(group);
  }
}

void MembershipReconciler::finish(GroupId group, Next next) {
  --running_;
  ClusterAgent& work = work_.at(group);
  if (std::exchange(work.again, false) && (next == Next::kDone || next == Next::kWait)) {
    next = Next::kAtOnce;
  }
  switch (next) {
    case Next::kDone:
      work_.erase(group);
      break;
    case Next::kAtOnce:
      work.backoff.reset();
      work.waits = 0;
      work.state = ClusterAgent::State::kQueued;
      queue_.push_back(group);
      break;
    case Next::kWait:
      // Soon while a learner may be catching up, seldom where a dead node is waited for.
      work.backoff.reset();
      pause(group, work,
            context_.timing.heartbeat_ns * std::min<int64_t>(1 + work.waits++ / 16, 10));
      break;
    case Next::kRetry:
      pause(group, work, work.backoff.next(context_.random));
      break;
    case Next::kElection:
      pause(group, work, context_.timing.election_ns);
      break;
  }
  pump();
}

void MembershipReconciler::pause(GroupId group, ClusterAgent& work, int64_t delay_ns) {
  work.state = ClusterAgent::State::kPaused;
  work.pause = next_pause_++;
  context_.after(delay_ns, [this, group, pause = work.pause] {
    const auto found = work_.find(group);
    if (found == work_.end() || found->second.pause != pause) return;
    if (found->second.state == ClusterAgent::State::kPaused) mark(group);
  });
}

// -- One step of one group.

void MembershipReconciler::run(GroupId group) {
  context_.host.status(group, context_.executor,
                       context_.guard_posted([this, group](const Result<host::ReplicaStatus>& s) {
                         first_look(group, s);
                       }));
}

void MembershipReconciler::first_look(GroupId group, const Result<host::ReplicaStatus>& status) {
  const std::shared_ptr<const registry::RegistryView> view = context_.view();
  const registry::GroupRecord* record = view->group(group);
  // Becoming leader, and a change of the record, mark it again.
  if (!status || !leads(*status) || !record) return finish(group, Next::kDone);
  const bool choose = group == registry::kRegistryGroup &&
                      registry_voters_.choose(*record, status->raft, {}).has_value();
  if (!choose) {
    const Step step = step_for(*record, status->raft, status->last_index, {});
    if (step.kind == StepKind::kNothing) return finish(group, Next::kDone);
    if (step.kind == StepKind::kWait) return finish(group, Next::kWait);
  }
  const Term term = status->raft.hard_state.term;
  context_.read_barrier([this, group, term](const Status& fresh) {
    if (!fresh) return finish(group, Next::kRetry);
    confirm_term(group, term);
  });
}

/// A read of the group itself shows that all of earlier terms is applied here: an addition that an
/// earlier leader proposed can no longer turn up after its removal was confirmed.
void MembershipReconciler::confirm_term(GroupId group, Term term) {
  context_.host.read(group, host::ReadMode::kLinearizable,
                     context_.guard_posted([this, group, term](const host::ReadPermit& permit) {
                       if (!permit.status) return finish(group, Next::kRetry);
                       second_look(group, term, {});
                     }));
}

void MembershipReconciler::second_look(GroupId group, Term term, Answered answered) {
  context_.host.status(
      group, context_.executor,
      context_.guard_posted([this, group, term, answered = std::move(answered)](
                                const Result<host::ReplicaStatus>& status) {
        const std::shared_ptr<const registry::RegistryView> view = context_.view();
        const registry::GroupRecord* record = view->group(group);
        if (!status || !leads(*status) || !record) return finish(group, Next::kDone);
        if (status->raft.hard_state.term != term) {
          MR_COVERAGE("meta: leadership changed while the registry was read");
          return finish(group, Next::kRetry);
        }
        if (group == registry::kRegistryGroup) {
          if (auto voters = registry_voters_.choose(*record, status->raft, answered)) {
            if (!answered) return ask_members(group, term, status->raft.conf_state);
            return set_registry_voters(std::move(*voters));
          }
        }
        const Step step = step_for(*record, status->raft, status->last_index, answered);
        if (changes_voters(step) && !answered) {
          return ask_members(group, term, status->raft.conf_state);
        }
        take(group, term, step);
      }));
}

void MembershipReconciler::ask_members(GroupId group, Term term, const raft::ConfState& conf) {
  std::vector<NodeId> nodes;
  for (const auto* ids : {&conf.voters, &conf.learners}) {
    for (ReplicaId id : *ids) nodes.push_back(id.node());
  }
  call_roll(context_, std::move(nodes), [this, group, term](std::vector<NodeId> answered) {
    second_look(group, term, std::move(answered));
  });
}

void MembershipReconciler::set_registry_voters(std::vector<ReplicaId> voters) {
  std::string text = "the voters of group 0 are to be on nodes";
  for (ReplicaId voter : voters) text += " " + to_string(voter.node());
  context_.log(raft::LogLevel::kInfo, text);
  context_.propose(registry::SetRegistryVoters{std::move(voters)},
                   [this](const Result<registry::RegistryOutcome>& outcome) {
                     const bool done = outcome && outcome->code == registry::RegistryCode::kOk;
                     finish(registry::kRegistryGroup, done ? Next::kAtOnce : Next::kRetry);
                   });
}

void MembershipReconciler::take(GroupId group, Term term, const Step& step) {
  switch (step.kind) {
    case StepKind::kNothing:
      return finish(group, Next::kDone);
    case StepKind::kWait:
      return finish(group, Next::kWait);
    case StepKind::kConfirmRemoved:
      return confirm_removed(group, step.replica);
    case StepKind::kSettle:
      return settle(group, step.replica);
    case StepKind::kTransfer:
      context_.log(raft::LogLevel::kInfo, text_of(group, step));
      context_.host.transfer_leadership(group, step.replica);
      return finish(group, Next::kElection);
    case StepKind::kAddLearner:
    case StepKind::kPromote:
    case StepKind::kRemove:
    case StepKind::kDemote:
    case StepKind::kChangeVoters:
      return change(group, term, step);
  }
}

void MembershipReconciler::change(GroupId group, Term term, const Step& step) {
  context_.log(raft::LogLevel::kInfo, text_of(group, step));
  context_.host.change_membership(
      group, term, change_for(step), context_.executor,
      context_.guard_posted([this, group](const Status& status) {
        if (!status) {
          context_.log(raft::LogLevel::kInfo,
                       "group " + to_string(group) + ": change of members: " + status.to_string());
        }
        finish(group, status ? Next::kAtOnce : Next::kRetry);
      }));
}

/// The removed replica may be needed until those who stay know durably that it is removed: they
/// would count it in a quorum after a restart (trap 26). An entry that the new configuration
/// commits makes sure of it.
void MembershipReconciler::confirm_removed(GroupId group, ReplicaId replica) {
  context_.host.barrier(group, context_.executor,
                        context_.guard_posted([this, group, replica](const Status& status) {
                          if (!status) return finish(group, Next::kRetry);
                          propose_removed(group, replica);
                        }));
}

void MembershipReconciler::settle(GroupId group, ReplicaId replica) {
  const std::shared_ptr<const registry::RegistryView> view = context_.view();
  const registry::GroupRecord* record = view->group(group);
  const registry::MemberRecord* member = record ? record->member(replica) : nullptr;
  if (!member) return finish(group, Next::kRetry);
  context_.propose(registry::MemberSettled{group, replica, member->voter},
                   [this, group](const Result<registry::RegistryOutcome>& outcome) {
                     const bool done = outcome && outcome->code == registry::RegistryCode::kOk;
                     finish(group, done ? Next::kAtOnce : Next::kRetry);
                   });
}

void MembershipReconciler::propose_removed(GroupId group, ReplicaId replica) {
  context_.propose(registry::ReplicaRemoved{group, replica},
                   [this, group](const Result<registry::RegistryOutcome>& outcome) {
                     const bool done = outcome && outcome->code == registry::RegistryCode::kOk;
                     finish(group, done ? Next::kAtOnce : Next::kRetry);
                   });
}

}  // namespace multiraft::cluster
