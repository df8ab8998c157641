#include "cluster/testing/fake_host.h"

#include <algorithm>

#include "base/assert.h"
#include "raft/conf_change.h"

namespace multiraft::cluster::testing {
namespace {

constexpr int64_t kLatencyNs = env::kMillisecond;
constexpr int64_t kRequestTimeoutNs = 5 * env::kSecond;

template <class Done, class Answer>
void answer(env::Executor& executor, Done done, Answer value) {
  executor.post(
      [done = std::move(done), value = std::move(value)]() mutable { done(std::move(value)); });
}

}  // namespace

// -- Transport.

void FakeTransport::call(const transport::Callee& callee, wire::Request request, int64_t timeout_ns,
                         env::Executor& executor, Callback<void(Result<wire::Response>)> done) {
  FakeNode* to = cluster_.find(callee.address.to_string());
  if (to && callee.node && to->id != callee.node) to = nullptr;
  if (to && to->up && to->host) {
    const ClusterId theirs = to->host->transport().cluster();
    const bool stranger = cluster_id_ != theirs;
    if (stranger && theirs && (cluster_id_ || request.kind != wire::RequestKind::kJoin)) {
      answer(executor, std::move(done),
             Result<wire::Response>(Status(StatusCode::kConflict, "belongs to another cluster")));
      return;
    }
  }
  carry(to, std::move(request), timeout_ns, executor, std::move(done));
}

void FakeTransport::carry(FakeNode* to, wire::Request request, int64_t timeout_ns,
                          env::Executor& executor, Callback<void(Result<wire::Response>)> done) {
  if (!to || !to->up || !to->connected || !node_.connected) {
    cluster_.post_to(node_, kLatencyNs, [&executor, done = std::move(done)]() mutable {
      answer(executor, std::move(done),
             Result<wire::Response>(Status(StatusCode::kUnavailable, "nobody answers there")));
    });
    return;
  }
  auto shared = std::make_shared<Callback<void(Result<wire::Response>)>>(std::move(done));
  auto finish = [shared, &executor](Result<wire::Response> result) {
    if (!*shared) return;
    answer(executor, std::exchange(*shared, nullptr), std::move(result));
  };
  cluster_.post_to(node_, timeout_ns,
                   [finish] { finish(Status(StatusCode::kUnknownOutcome, "no answer in time")); });
  // The one who asks may have ended, transport and all, before the answer is there.
  auto& cluster = cluster_;
  auto& asker = node_;
  cluster_.post_to(
      *to, kLatencyNs,
      [&cluster, &asker, life = asker.life, to, request = std::move(request), finish]() mutable {
        to->controller->on_request(
            asker.id, std::move(request),
            [&cluster, &asker, life, to, finish](StatusCode code, SharedBytes payload) {
              if (!cluster.alive(asker.id, life) || !to->connected || !asker.connected) return;
              cluster.post_to(asker, kLatencyNs, [finish, code, payload = std::move(payload)] {
                finish(wire::Response{0, code, payload});
              });
            });
      });
}

void FakeHost::ask(NodeId to, wire::RequestKind kind, SharedBytes payload, int64_t timeout_ns,
                   env::Executor& reply_on, Callback<void(Result<SharedBytes>)> done) {
  FakeNode* target = nullptr;
  const auto address = transport_.addresses().find(to);
  if (address != transport_.addresses().end()) target = cluster_.find(address->second);
  // The handshake of a connection between members names both ends and the cluster.
  if (target && (target->id != to || !target->host ||
                 target->host->transport().cluster() != transport_.cluster())) {
    target = nullptr;
  }
  wire::Request request;
  request.kind = kind;
  request.payload = std::move(payload);
  transport_.carry(target, std::move(request), timeout_ns, reply_on,
                   [done = std::move(done)](Result<wire::Response> response) mutable {
                     if (!response) {
                       done(response.status());
                     } else if (response->code != StatusCode::kOk) {
                       done(Status(response->code, std::string(response->payload.view())));
                     } else {
                       done(response->payload);
                     }
                   });
}

// -- Replicas.

FakeHost::FakeHost(FakeCluster& cluster, FakeNode& node)
    : cluster_(cluster),
      node_(node),
      worker_(node.env->start_executor("worker-0")),
      transport_(cluster, node, node.identity->facts().cluster),
      disk_(*node.env, "unused", 0, NodeId(), {}) {
  for (auto& [group, stored] : node.log) {
    recovered_.emplace_back(group, stored.replica);
    if (group == registry::kRegistryGroup) replay(stored);
  }
}

void FakeHost::replay(StoredReplica& stored) {
  machine_ = std::move(*node_.registry->open(registry::kRegistryGroup));
  const FakeGroup& group = cluster_.groups_[registry::kRegistryGroup];
  for (LogIndex index(2); index <= stored.applied; ++index) {
    const FakeGroup::Entry& entry = group.entries[index.value - 2];
    apply(registry::kRegistryGroup, index, entry.command);
  }
}

void FakeHost::apply(GroupId group, LogIndex index, const SharedBytes& command) {
  last_result_ = {};
  if (group != registry::kRegistryGroup || command.empty()) return;
  const Command one{index, Term(1), command.view()};
  MR_ASSERT(
      machine_->apply(std::span(&one, 1), index, Term(1), std::span(&last_result_, 1)).is_ok());
  MR_ASSERT(node_.registry->commit(0).is_ok());
}

void FakeHost::create_replica(GroupId group, ReplicaId replica, const raft::Snapshot& mark,
                              env::Executor& reply_on, Callback<void(Status)> done) {
  worker_->post([this, group, replica, mark, &reply_on, done = std::move(done)]() mutable {
    if (node_.log.contains(group)) {
      answer(reply_on, std::move(done), Status(StatusCode::kAlreadyExists, "hosted already"));
      return;
    }
    if (!cluster_.created_.insert(replica).second) {
      cluster_.violate("replica " + to_string(replica) + " was created twice");
    }
    if (replica.node() != node_.id) cluster_.violate("a replica of another node was created");
    node_.log[group] = {replica, mark, mark.index};
    if (group == registry::kRegistryGroup)
      machine_ = std::move(*node_.registry->open(registry::kRegistryGroup));
    FakeGroup& model = cluster_.groups_[group];
    if (model.conf.empty()) model.conf = mark.conf_state;
    answer(reply_on, std::move(done), Status::ok());
  });
}

void FakeHost::destroy_replica(GroupId group, ReplicaId replica, env::Executor& reply_on,
                               Callback<void(Status)> done) {
  worker_->post([this, group, replica, &reply_on, done = std::move(done)]() mutable {
    const auto found = node_.log.find(group);
    if (found != node_.log.end() && found->second.replica == replica) {
      const raft::ConfState& conf = cluster_.groups_[group].conf;
      if (std::count(conf.voters.begin(), conf.voters.end(), replica) +
              std::count(conf.voters_outgoing.begin(), conf.voters_outgoing.end(), replica) >
          0) {
        cluster_.violate("voter " + to_string(replica) + " was destroyed");
      }
      node_.log.erase(found);
    }
    answer(reply_on, std::move(done), Status::ok());
  });
}

host::ReplicaStatus FakeHost::status_of(GroupId id, const StoredReplica& stored) {
  const FakeGroup& group = cluster_.groups_[id];
  host::ReplicaStatus status;
  status.group = id;
  status.last_index = group.last();
  status.raft.id = stored.replica;
  status.raft.hard_state.term = group.term;
  status.raft.applied_index = stored.applied;
  status.raft.conf_state = group.conf;
  // Who has been removed hears of no leader.
  const bool is_member =
      std::count(group.conf.voters.begin(), group.conf.voters.end(), stored.replica) +
          std::count(group.conf.voters_outgoing.begin(), group.conf.voters_outgoing.end(),
                     stored.replica) +
          std::count(group.conf.learners.begin(), group.conf.learners.end(), stored.replica) >
      0;
  if (is_member) status.raft.soft_state.leader = group.leader;
  if (!is_member || group.leader != stored.replica) return status;
  status.raft.soft_state.role = raft::Role::kLeader;
  for (const auto* ids : {&group.conf.voters, &group.conf.learners}) {
    for (ReplicaId member : *ids) {
      raft::MemberProgress progress;
      progress.id = member;
      progress.recent_active = cluster_.seems_active(member, id);
      const FakeNode& node = cluster_.nodes_[member.node()];
      const auto at = node.log.find(id);
      if (at != node.log.end() && at->second.replica == member && at->second.applied) {
        progress.match_index = at->second.applied;
        progress.state = raft::ProgressState::kReplicate;
      }
      status.raft.members.push_back(progress);
    }
  }
  return status;
}

void FakeHost::status(GroupId group, env::Executor& reply_on,
                      Callback<void(Result<host::ReplicaStatus>)> done) {
  worker_->post([this, group, &reply_on, done = std::move(done)]() mutable {
    const auto found = node_.log.find(group);
    Result<host::ReplicaStatus> result =
        found == node_.log.end()
            ? Result<host::ReplicaStatus>(Status(StatusCode::kNotFound, "no replica"))
            : Result<host::ReplicaStatus>(status_of(group, found->second));
    answer(reply_on, std::move(done), std::move(result));
  });
}

void FakeHost::list(env::Executor& reply_on,
                    Callback<void(std::vector<host::ReplicaStatus>)> done) {
  worker_->post([this, &reply_on, done = std::move(done)]() mutable {
    std::vector<host::ReplicaStatus> all;
    for (const auto& [group, stored] : node_.log) all.push_back(status_of(group, stored));
    answer(reply_on, std::move(done), std::move(all));
  });
}

// -- Data.

void FakeHost::until(int64_t deadline_ns, std::shared_ptr<Retry> attempt, Task give_up) {
  if ((*attempt)()) return;
  if (cluster_.scheduler_.clock().now().ns >= deadline_ns) return give_up();
  cluster_.post_to(node_, 10 * kLatencyNs,
                   [this, deadline_ns, attempt, give_up = std::move(give_up)]() mutable {
                     until(deadline_ns, attempt, std::move(give_up));
                   });
}

void FakeHost::write(GroupId id, SharedBytes command, env::Executor& reply_on,
                     Callback<void(host::WriteResult)> done) {
  auto shared = std::make_shared<Callback<void(host::WriteResult)>>(std::move(done));
  auto fail = [shared, &reply_on](StatusCode code, const char* why) {
    host::WriteResult result;
    result.status = Status(code, why);
    answer(reply_on, std::move(*shared), std::move(result));
  };
  worker_->post([this, id, command = std::move(command), &reply_on, shared, fail] {
    if (!node_.log.contains(id)) return fail(StatusCode::kNotFound, "no replica");
    const int64_t deadline = cluster_.scheduler_.clock().now().ns + kRequestTimeoutNs;
    auto attempt = std::make_shared<Retry>([this, id, command, &reply_on, shared] {
      FakeGroup& group = cluster_.groups_[id];
      const auto own = node_.log.find(id);
      if (own == node_.log.end() || !cluster_.reachable(own->second.replica, id)) return false;
      // A node that is no member does not hear of a leader.
      if (!group.leader || !cluster_.has_quorum(id, group)) return false;
      const ReplicaId replica = own->second.replica;
      if (group.left.contains(replica)) return false;
      FakeNode& leader = cluster_.nodes_[group.leader.node()];
      cluster_.append(id, {command, std::nullopt});
      host::WriteResult result;
      result.index = group.last();
      // The leader applies first; its answer is everybody's.
      StoredReplica& stored = leader.log[id];
      cluster_.deliver_to(id, group, leader, stored);
      result.result = leader.host->last_result();
      answer(reply_on, std::move(*shared), std::move(result));
      return true;
    });
    until(deadline, attempt, [fail] { fail(StatusCode::kUnavailable, "no leader"); });
  });
}

void FakeHost::read(GroupId id, host::ReadMode, Callback<void(host::ReadPermit)> done) {
  auto shared = std::make_shared<Callback<void(host::ReadPermit)>>(std::move(done));
  worker_->post([this, id, shared] {
    const LogIndex wanted = cluster_.groups_[id].last();
    const int64_t deadline = cluster_.scheduler_.clock().now().ns + kRequestTimeoutNs;
    auto attempt = std::make_shared<Retry>([this, id, wanted, shared] {
      const FakeGroup& group = cluster_.groups_[id];
      const auto own = node_.log.find(id);
      if (own == node_.log.end() || !group.leader || !cluster_.has_quorum(id, group) ||
          !cluster_.reachable(own->second.replica, id) || own->second.applied < wanted) {
        return false;
      }
      if (id == registry::kRegistryGroup && cluster_.before_read_answer) {
        cluster_.before_read_answer(node_.id);
      }
      host::ReadPermit permit;
      permit.applied_index = own->second.applied;
      permit.term = group.term;
      permit.leader = group.leader;
      (*shared)(permit);
      return true;
    });
    until(deadline, attempt, [shared] {
      host::ReadPermit permit;
      permit.status = Status(StatusCode::kUnavailable, "no leader");
      (*shared)(permit);
    });
  });
}

// -- Membership.

void FakeHost::change_membership(GroupId id, Term term, raft::ConfChange change,
                                 env::Executor& reply_on, Callback<void(Status)> done) {
  worker_->post(
      [this, id, term, change = std::move(change), &reply_on, done = std::move(done)]() mutable {
        if (cluster_.before_change) cluster_.before_change(id, change);
        FakeGroup& group = cluster_.groups_[id];
        const auto own = node_.log.find(id);
        if (own == node_.log.end() || group.leader != own->second.replica || group.term != term ||
            !cluster_.has_quorum(id, group)) {
          answer(reply_on, std::move(done), Status(StatusCode::kNotLeader, "not in that term"));
          return;
        }
        auto next = raft::next_conf_state(group.conf, change);
        if (!next) {
          answer(reply_on, std::move(done), next.status());
          return;
        }
        for (const raft::ConfChangeSingle& single : change.changes) {
          if (single.op == raft::ConfChangeOp::kRemove) {
            group.left.insert(single.replica);
          } else if (group.left.contains(single.replica)) {
            cluster_.violate("replica " + to_string(single.replica) + " came back into group " +
                             to_string(id));
          }
        }
        cluster_.append(id, {{}, *next});
        cluster_.deliver_to(id, group, node_, own->second);
        answer(reply_on, std::move(done), Status::ok());
      });
}

void FakeHost::barrier(GroupId id, env::Executor& reply_on, Callback<void(Status)> done) {
  worker_->post([this, id, &reply_on, done = std::move(done)]() mutable {
    const FakeGroup& group = cluster_.groups_[id];
    const auto own = node_.log.find(id);
    const bool leads = own != node_.log.end() && group.leader == own->second.replica &&
                       cluster_.has_quorum(id, group);
    answer(reply_on, std::move(done),
           leads ? Status::ok() : Status(StatusCode::kNotLeader, "does not lead"));
  });
}

void FakeHost::transfer_leadership(GroupId id, ReplicaId to) {
  worker_->post([this, id, to] {
    FakeGroup& group = cluster_.groups_[id];
    if (cluster_.reachable(to, id)) cluster_.set_leader(id, group, to);
  });
}

}  // namespace multiraft::cluster::testing
