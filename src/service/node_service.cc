#include "service/node_service.h"

#include <algorithm>

#include "base/assert.h"
#include "kv/command.h"
#include "service/redirect_order.h"

namespace multiraft::service {
namespace {

template <class T>
Reply<T> failure(Error error, Position position = {}) {
  return {std::move(error), position};
}

/// Runs `task` on `executor`: at once if this is its thread.
template <class F>
void on(env::Executor& executor, F task) {
  if (executor.in_executor()) {
    task();
  } else {
    executor.post(std::move(task));
  }
}

Error to_error(const Status& status) { return {status.code(), status.message(), {}}; }

std::string_view role_word(raft::Role role, bool learner) {
  switch (role) {
    case raft::Role::kLeader:
      return "leader";
    case raft::Role::kCandidate:
    case raft::Role::kPreCandidate:
      return "candidate";
    case raft::Role::kFollower:
      return learner ? "learner" : "follower";
  }
  return "follower";
}

std::string_view progress_word(raft::ProgressState state) {
  switch (state) {
    case raft::ProgressState::kProbe:
      return "probe";
    case raft::ProgressState::kReplicate:
      return "replicate";
    case raft::ProgressState::kSnapshot:
      return "snapshot";
  }
  return "";
}

bool contains(const std::vector<ReplicaId>& ids, ReplicaId id) {
  return std::binary_search(ids.begin(), ids.end(), id);
}

Error too_many_bytes() {
  return {StatusCode::kOverloaded, "too many bytes of answers wait for their clients", {}};
}

void set_addresses(const registry::RegistryView& view, MemberInfo& member) {
  if (const registry::NodeRecord* node = view.node(member.id)) {
    member.raft_address = node->raft_address;
    member.api_address = node->api_address;
  }
}

}  // namespace

// -- Data.

namespace {

host::ReadMode read_mode(Consistency consistency) {
  switch (consistency) {
    case Consistency::kLinearizable:
      return host::ReadMode::kLinearizable;
    case Consistency::kLease:
      return host::ReadMode::kLease;
    case Consistency::kLocal:
      return host::ReadMode::kLocal;
  }
  MR_UNREACHABLE("a consistency that does not exist");
}

}  // namespace

void NodeService::write(GroupId group, SharedBytes command,
                        Callback<void(Reply<WriteAnswer>)> done) {
  // What every version that this program supports has needs no look at the registry.
  if (const uint32_t needed = kv::version_needed(command.view()); needed > kSupportedVersions.min) {
    if (const uint32_t version = context_.controller->view()->cluster_version(); needed > version) {
      return done(failure<WriteAnswer>({StatusCode::kUnsupported,
                                        "this needs cluster version " + std::to_string(needed) +
                                            ", and the cluster is at " + std::to_string(version) +
                                            ": upgrade all of its nodes first",
                                        {}}));
    }
  }
  context_.host->write(group, std::move(command), executor_,
                       [this, group, done = std::move(done)](host::WriteResult result) mutable {
                         const Position position{result.term, result.index, result.leader.node()};
                         if (result.status) {
                           done({WriteAnswer{result.result.code, result.index}, position});
                         } else if (result.status.code() == StatusCode::kNotFound) {
                           find_elsewhere(group, [done = std::move(done)](Error error) mutable {
                             done(failure<WriteAnswer>(std::move(error)));
                           });
                         } else {
                           done(failure<WriteAnswer>(service::to_error(result.status), position));
                         }
                       });
}

void NodeService::read(GroupId group, std::string key, Consistency consistency,
                       Callback<void(Reply<ReadAnswer>)> done) {
  context_.host->read(
      group, read_mode(consistency),
      [this, group, key = std::move(key),
       done = std::move(done)](const host::ReadPermit& permit) mutable {
        if (!permit.status) return refuse_read(group, permit, std::move(done));
        // In a later round what was permitted still is: the state only moves on, and where the
        // replica has gone the reader says so.
        context_.read_slices[context_.host->worker_of(group)]->run(
            [this, reader = static_cast<const kv::KvStateMachine&>(*permit.state_machine).reader(),
             position = Position{permit.term, permit.applied_index, permit.leader.node()},
             key = std::move(key), done = std::move(done)]() mutable {
              return serve_read(std::move(reader), position, std::move(key), std::move(done));
            });
      });
}

void NodeService::refuse_read(GroupId group, const host::ReadPermit& permit, ReadDone done) {
  const Position position{permit.term, permit.applied_index, permit.leader.node()};
  on(executor_, [this, group, status = permit.status, position, done = std::move(done)]() mutable {
    if (status.code() != StatusCode::kNotFound) {
      done(failure<ReadAnswer>(service::to_error(status), position));
      return;
    }
    find_elsewhere(group, [done = std::move(done)](Error error) mutable {
      done(failure<ReadAnswer>(std::move(error)));
    });
  });
}

size_t NodeService::serve_read(std::shared_ptr<const kv::KvReader> reader, const Position& position,
                               std::string key, ReadDone done) {
  if (budget_->exhausted()) {
    Reply<ReadAnswer> reply;
    reply.position = position;
    reply.result = too_many_bytes();
    on(executor_,
       [reply = std::move(reply), done = std::move(done)]() mutable { done(std::move(reply)); });
    return 0;
  }
  ReadValue value = reader->get(key, kv::ReadTier::kCached);
  if (!value && value.status().code() == StatusCode::kUnavailable) {
    // It takes none of the worker's time, and so nothing of its slice.
    context_.cold_reads->get(std::move(reader), std::move(key),
                             [this, position, done = std::move(done)](ReadValue read) mutable {
                               answer_read(position, std::move(read), std::move(done));
                             });
    return 0;
  }
  const size_t bytes = value && *value ? (*value)->value.size() : 0;
  answer_read(position, std::move(value), std::move(done));
  return bytes;
}

void NodeService::answer_read(const Position& position, ReadValue value, ReadDone done) {
  Reply<ReadAnswer> reply;
  reply.position = position;
  if (!value) {
    reply.result = service::to_error(value.status());
  } else if (*value) {
    ReadAnswer answer{std::move((*value)->value), (*value)->modified_index, nullptr};
    const size_t bytes = answer.value->size();
    const bool counts = bytes >= kChargedBytesMin;
    if (counts) answer.charge = MemoryCharge::take(budget_, bytes);
    if (counts && !answer.charge) {
      reply.result = too_many_bytes();
    } else {
      reply.result = std::move(answer);
    }
  } else {
    reply.result = ReadAnswer{};
  }
  on(executor_,
     [reply = std::move(reply), done = std::move(done)]() mutable { done(std::move(reply)); });
}

void NodeService::refer(GroupId group, Callback<void(Error)> done) {
  context_.controller->find_leader(
      group, executor_, [this, group, done = std::move(done)](NodeId leader) mutable {
        // Held: the record is part of it.
        const auto view = context_.controller->view();
        if (const registry::GroupRecord* record = view->group(group)) {
          done(not_here(*record, leader));
        } else {
          done({StatusCode::kUnavailable, "group " + to_string(group) + " changes: try again", {}});
        }
      });
}

Error NodeService::not_here(const registry::GroupRecord& group, NodeId leader) {
  const auto view = context_.controller->view();
  Error error{
      StatusCode::kWrongNode,
      "node " + to_string(context_.node) + " has no replica of group " + to_string(group.id),
      {}};
  for (const registry::MemberRecord& member : group.members) {
    const registry::NodeRecord* node = view->node(member.replica.node());
    if (!node || member.leaving || member.replica.node() == context_.node) continue;
    error.members.push_back({node->id, node->api_address});
  }
  if (!error.members.empty()) {
    transport::Transport& transport = context_.host->transport();
    error.members = order_for_redirect(
        std::move(error.members), [&](NodeId node) { return transport.contact(node); },
        context_.clock->now(), redirects_++, leader);
    if (error.members.empty()) {
      error.code = StatusCode::kUnavailable;
      error.detail = "node " + to_string(context_.node) + " has no replica of group " +
                     to_string(group.id) + ", and none of the nodes that have one answers";
      return error;
    }
  }
  const registry::MemberRecord* own = group.member_on(context_.node);
  if (own) error.detail += " yet: it is on its way";
  if ((own && group.is_founder(own->replica)) || error.members.empty()) {
    // Other founders may be no further, and would send the client back here.
    error.code = StatusCode::kUnavailable;
    error.detail = "group " + to_string(group.id) + " is being set up on node " +
                   to_string(context_.node) + ": try again";
  }
  return error;
}

void NodeService::find_elsewhere(GroupId group, Callback<void(Error)> done) {
  if (context_.controller->view()->group(group)) return refer(group, std::move(done));
  // Nobody we know of; make sure that what we know is not old.
  context_.host->read(
      GroupId{}, host::ReadMode::kLinearizable,
      [this, group, done = std::move(done)](const host::ReadPermit& permit) mutable {
        const Status status = permit.status;
        on(executor_, [this, group, status, done = std::move(done)]() mutable {
          if (!status) {
            done({StatusCode::kUnavailable,
                  "cannot determine whether group " + to_string(group) +
                      " exists: the registry (group 0) has no leader",
                  {}});
          } else if (context_.controller->view()->group(group)) {
            refer(group, std::move(done));
          } else {
            done({StatusCode::kNoSuchGroup,
                  "there is no group " + to_string(group) + ": PUT /mgmt/groups makes one",
                  {}});
          }
        });
      });
}

// -- Groups and nodes.

GroupInfo NodeService::describe(const registry::RegistryView& view,
                                const registry::GroupRecord& group) const {
  GroupInfo info;
  info.id = group.id;
  for (const registry::MemberRecord& member : group.members) {
    MemberInfo m;
    m.id = member.replica.node();
    m.replica = member.replica.value;
    m.voter = member.voter;
    m.leaving = member.leaving;
    set_addresses(view, m);
    info.members.push_back(std::move(m));
  }
  return info;
}

void NodeService::add_status(const registry::RegistryView& view, const host::ReplicaStatus& status,
                             GroupInfo& info) const {
  const raft::RaftStatus& raft = status.raft;
  const raft::ConfState& conf = raft.conf_state;
  info.hosted = true;
  info.role = role_word(raft.soft_state.role, contains(conf.learners, raft.id));
  info.leader = raft.soft_state.leader.node();
  info.term = raft.hard_state.term;
  info.commit = raft.hard_state.commit;
  info.applied = raft.applied_index;
  info.first = status.first_index;
  info.last = status.last_index;
  info.stopped = status.stopped;
  // A replica that has just been created has none yet.
  if (conf.empty()) return;
  // What is in force is the group's own configuration, not what the registry wants.
  info.members.clear();
  const registry::GroupRecord* record = view.group(status.group);
  auto add = [&](const std::vector<ReplicaId>& ids, bool voter) {
    for (ReplicaId id : ids) {
      MemberInfo m;
      m.id = id.node();
      m.replica = id.value;
      m.voter = voter;
      m.leader = id == raft.soft_state.leader;
      const registry::MemberRecord* wanted = record ? record->member(id) : nullptr;
      m.leaving = wanted && wanted->leaving;
      set_addresses(view, m);
      for (const raft::MemberProgress& progress : raft.members) {
        if (progress.id != id) continue;
        m.match = progress.match_index.value;
        m.next = progress.next_index.value;
        m.lag = status.last_index.value - std::min(status.last_index, progress.match_index).value;
        m.active = progress.recent_active;
        m.progress = progress_word(progress.state);
      }
      info.members.push_back(std::move(m));
    }
  };
  add(conf.voters, true);
  add(conf.learners, false);
  std::sort(info.members.begin(), info.members.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
}

void NodeService::list_groups(GroupId from, size_t limit, Callback<void(Reply<GroupPage>)> done) {
  struct Collecting {
    std::shared_ptr<const registry::RegistryView> view;
    GroupPage page;
    size_t missing = 0;
    Callback<void(Reply<GroupPage>)> done;
  };
  auto collecting = std::make_shared<Collecting>();
  collecting->view = context_.controller->view();
  collecting->done = std::move(done);
  std::vector<const registry::GroupRecord*> records =
      collecting->view->groups_from(from, limit + 1);
  collecting->page.more = records.size() > limit;
  if (collecting->page.more) records.pop_back();
  for (const registry::GroupRecord* record : records) {
    collecting->page.groups.push_back(describe(*collecting->view, *record));
  }
  // Posted even where every answer comes from this thread: others have their turn between slices.
  const auto finish = [this, collecting] {
    executor_.post([collecting] { collecting->done({std::move(collecting->page), {}}); });
  };
  collecting->missing = records.size();
  if (records.empty()) return finish();
  for (size_t i = 0; i < records.size(); ++i) {
    context_.host->status(records[i]->id, executor_,
                          [this, collecting, finish, i](Result<host::ReplicaStatus> status) {
                            if (status) {
                              add_status(*collecting->view, *status, collecting->page.groups[i]);
                            }
                            if (--collecting->missing == 0) finish();
                          });
  }
}

void NodeService::describe_elsewhere(GroupId group, Callback<void(Reply<GroupInfo>)> done) {
  context_.controller->find_leader(
      group, executor_, [this, group, done = std::move(done)](NodeId leader) mutable {
        const auto view = context_.controller->view();
        const registry::GroupRecord* record = view->group(group);
        GroupInfo info = record ? describe(*view, *record) : GroupInfo{};
        info.id = group;
        for (MemberInfo& member : info.members) member.leader = leader && member.id == leader;
        done({std::move(info), {{}, {}, leader}});
      });
}

void NodeService::group_info(GroupId group, Callback<void(Reply<GroupInfo>)> done) {
  context_.host->status(
      group, executor_,
      [this, group, done = std::move(done)](Result<host::ReplicaStatus> status) mutable {
        const auto view = context_.controller->view();
        const registry::GroupRecord* record = view->group(group);
        if (status) {
          GroupInfo info = record ? describe(*view, *record) : GroupInfo{};
          info.id = group;
          add_status(*view, *status, info);
          const Position position{info.term, info.applied, info.leader};
          done({std::move(info), position});
        } else if (record) {
          describe_elsewhere(group, std::move(done));
        } else {
          find_elsewhere(group, [this, group, done = std::move(done)](Error error) mutable {
            if (context_.controller->view()->group(group)) {
              describe_elsewhere(group, std::move(done));
            } else {
              done(failure<GroupInfo>(std::move(error)));
            }
          });
        }
      });
}

const NodeService::GroupsByNode& NodeService::groups_by_node(
    const std::shared_ptr<const registry::RegistryView>& view) {
  registry::RegistryView::for_each_change(*indexed_view_, *view, [&](GroupId id) {
    if (id == registry::kRegistryGroup) return;
    if (const registry::GroupRecord* former = indexed_view_->group(id)) {
      for (const registry::MemberRecord& member : former->members) {
        NodeGroups& groups = groups_by_node_[member.replica.node().value];
        groups.all.erase(id);
        groups.leaving.erase(id);
      }
    }
    const registry::GroupRecord* group = view->group(id);
    if (!group) return;
    for (const registry::MemberRecord& member : group->members) {
      NodeGroups& groups = groups_by_node_[member.replica.node().value];
      groups.all.insert(id);
      // A leaving replica and its successor may be on the same node.
      if (!group->member_on(member.replica.node())) groups.leaving.insert(id);
    }
  });
  indexed_view_ = view;
  return groups_by_node_;
}

void NodeService::list_nodes(Callback<void(Reply<std::vector<NodeInfo>>)> done) {
  const auto view = context_.controller->view();
  const GroupsByNode& groups = groups_by_node(view);
  std::vector<NodeInfo> nodes;
  for (const registry::NodeRecord& record : view->nodes()) {
    NodeInfo info;
    info.id = record.id;
    info.raft_address = record.raft_address;
    info.api_address = record.api_address;
    bool leaving = record.state == registry::NodeState::kLeaving;
    info.self = record.id == context_.node;
    if (const auto found = groups.find(record.id.value); found != groups.end()) {
      const NodeGroups& of_node = found->second;
      // It leaves the cluster with its last group.
      leaving = leaving || (!of_node.all.empty() && of_node.leaving.size() == of_node.all.size());
      info.groups.assign(of_node.all.begin(), of_node.all.end());
    }
    info.state = leaving ? "leaving" : "member";
    nodes.push_back(std::move(info));
  }
  done({std::move(nodes), {}});
}

void NodeService::cluster_info(Callback<void(Reply<ClusterInfo>)> done) {
  context_.host->status(
      registry::kRegistryGroup, executor_,
      [this, done = std::move(done)](const Result<host::ReplicaStatus>& status) mutable {
        const auto view = context_.controller->view();
        ClusterInfo info;
        info.id = view->cluster();
        info.node = context_.node;
        info.version = context_.program_version;
        info.versions = kSupportedVersions;
        info.cluster_version = view->cluster_version();
        info.nodes = view->nodes().size();
        info.groups = view->group_count() - (view->empty() ? 0 : 1);
        if (status) info.registry_leader = status->raft.soft_state.leader.node();
        done({std::move(info), {}});
      });
}

// -- Changes of the cluster.

/// Of a request about a member: which of the two is not there.
Error NodeService::to_error(GroupId group, const Status& status) const {
  Error error = service::to_error(status);
  if (error.code == StatusCode::kNotFound && !context_.controller->view()->group(group)) {
    error.code = StatusCode::kNoSuchGroup;
  }
  return error;
}

void NodeService::create_group(GroupId group, std::vector<NodeId> nodes,
                               Callback<void(Reply<Done>)> done) {
  context_.controller->create_group(group, std::move(nodes), executor_,
                                    [done = std::move(done)](Status status) mutable {
                                      if (status) {
                                        done({Done{}, {}});
                                      } else {
                                        done(failure<Done>(service::to_error(status)));
                                      }
                                    });
}

void NodeService::add_member(GroupId group, NodeId node, bool voter,
                             Callback<void(Reply<GroupInfo>)> done) {
  context_.controller->add_member(group, node, voter, executor_,
                                  [this, group, done = std::move(done)](Status status) mutable {
                                    if (status) {
                                      group_info(group, std::move(done));
                                    } else {
                                      done(failure<GroupInfo>(to_error(group, status)));
                                    }
                                  });
}

void NodeService::remove_member(GroupId group, NodeId node, Callback<void(Reply<Done>)> done) {
  context_.controller->remove_member(group, node, executor_,
                                     [this, group, done = std::move(done)](Status status) mutable {
                                       if (status) {
                                         done({Done{}, {}});
                                       } else {
                                         done(failure<Done>(to_error(group, status)));
                                       }
                                     });
}

// -- Probes and metrics.

std::vector<ReadinessCheck> NodeService::readiness() {
  const bool draining = context_.draining.load();
  const bool member = context_.ready.load();
  const host::NodeHost& host = *context_.host;
  ReadinessCheck disk{"disk", true, ""};
  if (const std::optional<int64_t> stalled_ns = host.disk_stalled_ns()) {
    disk = {"disk", false,
            "stalled: a write of the log has been waiting for " +
                std::to_string(*stalled_ns / env::kMillisecond) + " ms"};
  } else if (host.disk().low()) {
    disk.detail = host.disk().refusal().message();  // It serves reads and deletes.
  }
  ReadinessCheck engine{"engine", true, ""};
  if (const std::optional<int64_t> stalled_ns = host.engine_stalled_ns()) {
    engine = {"engine", false,
              "stalled: it has stored nothing of what was applied for " +
                  std::to_string(*stalled_ns / env::kMillisecond) + " ms"};
  }
  ReadinessCheck version{"version", true, ""};
  if (const uint64_t replicas = host.replicas_to_upgrade(); replicas > 0) {
    version = {"version", false,
               std::to_string(replicas) + (replicas == 1 ? " replica has" : " replicas have") +
                   " stopped at commands of a newer version: upgrade this node"};
  }
  const LeaderGauge leaders = context_.leaders();
  LeaderGauge::Verdict registry = leaders.registry();
  if (!member) registry = {false, "this node has not caught up with the cluster's registry yet"};
  LeaderGauge::Verdict groups = leaders.groups();
  return {{"accepting", !draining, draining ? "this node is shutting down" : ""},
          {"registry", registry.ok, std::move(registry.detail)},
          {"groups", groups.ok, std::move(groups.detail)},
          std::move(disk),
          std::move(engine),
          std::move(version)};
}

void NodeService::metrics(Callback<void(std::string)> done) {
  context_.host->stats(executor_, [this, done = std::move(done)](host::HostStats stats) mutable {
    done(context_.render_metrics(stats));
  });
}

}  // namespace multiraft::service
