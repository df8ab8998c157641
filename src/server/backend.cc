#include "server/backend.h"

#include <algorithm>

#include "base/assert.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/redirect_order.h"

namespace multiraft::server {
namespace {

using rest::Error;
using rest::ErrorKind;
using rest::Reply;

template <class T>
Reply<T> failure(Error error, rest::Position position = {}) {
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

ErrorKind kind_of(StatusCode code) {
  switch (code) {
    case StatusCode::kInvalidArgument:
      return ErrorKind::kBadRequest;
    case StatusCode::kNotFound:
      return ErrorKind::kNoSuchMember;
    case StatusCode::kAlreadyExists:
    case StatusCode::kConflict:
      return ErrorKind::kConflict;
    case StatusCode::kUnavailable:
    case StatusCode::kNotLeader:
    case StatusCode::kCancelled:
      return ErrorKind::kUnavailable;
    case StatusCode::kUnknownOutcome:
      return ErrorKind::kUnknownOutcome;
    case StatusCode::kOverloaded:
      return ErrorKind::kOverloaded;
    case StatusCode::kTooLarge:
      return ErrorKind::kTooLarge;
    case StatusCode::kNoSpace:
      return ErrorKind::kNoSpace;
    case StatusCode::kOk:
    case StatusCode::kCorruption:
    case StatusCode::kIoError:
    case StatusCode::kInternal:
    case StatusCode::kOlderState:
      return ErrorKind::kInternal;
  }
  return ErrorKind::kInternal;
}

Error to_error(const Status& status) { return {kind_of(status.code()), status.message(), {}}; }

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
  return {ErrorKind::kOverloaded, "too many bytes of answers wait for their clients", {}};
}

void set_addresses(const meta::RegistryView& view, rest::MemberInfo& member) {
  if (const meta::NodeRecord* node = view.node(member.id)) {
    member.raft_address = node->raft_address;
    member.api_address = node->api_address;
  }
}

}  // namespace

// -- Data.

namespace {

host::ReadMode read_mode(rest::Consistency consistency) {
  switch (consistency) {
    case rest::Consistency::kLinearizable:
      return host::ReadMode::kLinearizable;
    case rest::Consistency::kLease:
      return host::ReadMode::kLease;
    case rest::Consistency::kLocal:
      return host::ReadMode::kLocal;
  }
  MR_UNREACHABLE("a consistency that does not exist");
}

}  // namespace

void NodeBackend::write(GroupId group, SharedBytes command,
                        Callback<void(Reply<rest::WriteAnswer>)> done) {
  context_.host->write(
      group, std::move(command), executor_,
      [this, group, done = std::move(done)](host::WriteResult result) mutable {
        const rest::Position position{result.term, result.index, result.leader.node()};
        if (result.status) {
          done({rest::WriteAnswer{result.result.code, result.index}, position});
        } else if (result.status.code() == StatusCode::kNotFound) {
          find_elsewhere(group, [done = std::move(done)](Error error) mutable {
            done(failure<rest::WriteAnswer>(std::move(error)));
          });
        } else {
          done(failure<rest::WriteAnswer>(to_error(result.status), position));
        }
      });
}

void NodeBackend::read(GroupId group, std::string key, rest::Consistency consistency,
                       Callback<void(Reply<rest::ReadAnswer>)> done) {
  context_.host->read(
      group, read_mode(consistency),
      [this, group, key = std::move(key),
       done = std::move(done)](const host::ReadPermit& permit) mutable {
        if (!permit.status) return refuse_read(group, permit, std::move(done));
        ReadSlices& slices = *context_.read_slices[context_.host->worker_of(group)];
        const rest::Position position{permit.term, permit.applied_index, permit.leader.node()};
        if (slices.has_room()) {
          return serve_read(*permit.state_machine, position, key, slices, std::move(done));
        }
        slices.postpone([this, group, position, &slices, key = std::move(key),
                         done = std::move(done)]() mutable {
          // What was permitted still is: the state only moves on. The replica may be gone, though.
          context_.host->read(
              group, host::ReadMode::kLocal,
              [this, group, position, &slices, key = std::move(key),
               done = std::move(done)](const host::ReadPermit& later) mutable {
                if (!later.status) return refuse_read(group, later, std::move(done));
                if (later.applied_index < position.index) {
                  host::ReadPermit newcomer = later;
                  newcomer.status = Status(StatusCode::kUnavailable,
                                           "the replica was replaced meanwhile: try again");
                  return refuse_read(group, newcomer, std::move(done));
                }
                serve_read(*later.state_machine, position, key, slices, std::move(done));
              });
        });
      });
}

void NodeBackend::refuse_read(GroupId group, const host::ReadPermit& permit, ReadDone done) {
  const rest::Position position{permit.term, permit.applied_index, permit.leader.node()};
  on(executor_, [this, group, status = permit.status, position, done = std::move(done)]() mutable {
    if (status.code() != StatusCode::kNotFound) {
      done(failure<rest::ReadAnswer>(to_error(status), position));
      return;
    }
    find_elsewhere(group, [done = std::move(done)](Error error) mutable {
      done(failure<rest::ReadAnswer>(std::move(error)));
    });
  });
}

void NodeBackend::serve_read(const StateMachine& machine, const rest::Position& position,
                             const std::string& key, ReadSlices& slices, ReadDone done) {
  Reply<rest::ReadAnswer> reply;
  reply.position = position;
  if (budget_->exhausted()) {
    reply.result = too_many_bytes();
  } else if (auto value = static_cast<const kv::KvStateMachine&>(machine).get(key); !value) {
    reply.result = to_error(value.status());
  } else if (*value) {
    rest::ReadAnswer answer{std::move((*value)->value), (*value)->modified_index, nullptr};
    const size_t bytes = answer.value->size();
    slices.used(bytes);
    const bool counts = bytes >= rest::kChargedBytesMin;
    if (counts) answer.charge = rest::MemoryCharge::take(budget_, bytes);
    if (counts && !answer.charge) {
      reply.result = too_many_bytes();
    } else {
      reply.result = std::move(answer);
    }
  } else {
    reply.result = rest::ReadAnswer{};
  }
  on(executor_,
     [reply = std::move(reply), done = std::move(done)]() mutable { done(std::move(reply)); });
}

rest::Error NodeBackend::not_here(const meta::GroupRecord& group) {
  const auto view = context_.controller->view();
  Error error{
      ErrorKind::kNotHere,
      "node " + to_string(context_.node) + " has no replica of group " + to_string(group.id),
      {}};
  for (const meta::MemberRecord& member : group.members) {
    const meta::NodeRecord* node = view->node(member.replica.node());
    if (!node || member.leaving || member.replica.node() == context_.node) continue;
    error.members.push_back({node->id, node->api_address});
  }
  if (!error.members.empty()) {
    transport::Transport& transport = context_.host->transport();
    error.members = order_for_redirect(
        std::move(error.members), [&](NodeId node) { return transport.contact(node); },
        context_.clock->now(), redirects_++);
    if (error.members.empty()) {
      error.kind = ErrorKind::kUnavailable;
      error.detail = "node " + to_string(context_.node) + " has no replica of group " +
                     to_string(group.id) + ", and none of the nodes that have one answers";
      return error;
    }
  }
  const meta::MemberRecord* own = group.member_on(context_.node);
  if (own || error.members.empty()) {
    // It is to be here, and is on its way.
    error.kind = ErrorKind::kUnavailable;
    error.detail = "group " + to_string(group.id) + " is being set up on node " +
                   to_string(context_.node) + ": try again";
  }
  return error;
}

void NodeBackend::find_elsewhere(GroupId group, Callback<void(Error)> done) {
  if (const meta::GroupRecord* record = context_.controller->view()->group(group)) {
    done(not_here(*record));
    return;
  }
  // Nobody we know of; make sure that what we know is not old.
  context_.host->read(
      GroupId{}, host::ReadMode::kLinearizable,
      [this, group, done = std::move(done)](const host::ReadPermit& permit) mutable {
        const Status status = permit.status;
        on(executor_, [this, group, status, done = std::move(done)]() mutable {
          if (!status) {
            done({ErrorKind::kUnavailable,
                  "whether group " + to_string(group) +
                      " exists cannot be told: the registry (group 0) has no leader",
                  {}});
          } else if (const meta::GroupRecord* record = context_.controller->view()->group(group)) {
            done(not_here(*record));
          } else {
            done({ErrorKind::kNoSuchGroup,
                  "there is no group " + to_string(group) + ": PUT /mgmt/groups makes one",
                  {}});
          }
        });
      });
}

// -- What there is.

rest::GroupInfo NodeBackend::describe(const meta::RegistryView& view,
                                      const meta::GroupRecord& group) const {
  rest::GroupInfo info;
  info.id = group.id;
  for (const meta::MemberRecord& member : group.members) {
    rest::MemberInfo m;
    m.id = member.replica.node();
    m.replica = member.replica.value;
    m.voter = member.voter;
    m.leaving = member.leaving;
    set_addresses(view, m);
    info.members.push_back(std::move(m));
  }
  return info;
}

void NodeBackend::add_status(const meta::RegistryView& view, const host::ReplicaStatus& status,
                             rest::GroupInfo& info) const {
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
  // What is in force is the group's own configuration, not what the registry wants.
  info.members.clear();
  const meta::GroupRecord* record = view.group(status.group);
  auto add = [&](const std::vector<ReplicaId>& ids, bool voter) {
    for (ReplicaId id : ids) {
      rest::MemberInfo m;
      m.id = id.node();
      m.replica = id.value;
      m.voter = voter;
      m.leader = id == raft.soft_state.leader;
      const meta::MemberRecord* wanted = record ? record->member(id) : nullptr;
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

void NodeBackend::list_groups(GroupId from, size_t limit,
                              Callback<void(Reply<rest::GroupPage>)> done) {
  struct Collecting {
    std::shared_ptr<const meta::RegistryView> view;
    rest::GroupPage page;
    size_t missing = 0;
    Callback<void(Reply<rest::GroupPage>)> done;
  };
  auto collecting = std::make_shared<Collecting>();
  collecting->view = context_.controller->view();
  collecting->done = std::move(done);
  std::vector<const meta::GroupRecord*> records = collecting->view->groups_from(from, limit + 1);
  collecting->page.more = records.size() > limit;
  if (collecting->page.more) records.pop_back();
  for (const meta::GroupRecord* record : records) {
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

void NodeBackend::group_info(GroupId group, Callback<void(Reply<rest::GroupInfo>)> done) {
  context_.host->status(
      group, executor_,
      [this, group, done = std::move(done)](Result<host::ReplicaStatus> status) mutable {
        const auto view = context_.controller->view();
        const meta::GroupRecord* record = view->group(group);
        if (status) {
          rest::GroupInfo info = record ? describe(*view, *record) : rest::GroupInfo{};
          info.id = group;
          add_status(*view, *status, info);
          const rest::Position position{info.term, info.applied, info.leader};
          done({std::move(info), position});
        } else if (record) {
          done({describe(*view, *record), {}});
        } else {
          find_elsewhere(group, [this, group, done = std::move(done)](Error error) mutable {
            const auto fresh = context_.controller->view();
            if (const meta::GroupRecord* found = fresh->group(group)) {
              done({describe(*fresh, *found), {}});
            } else {
              done(failure<rest::GroupInfo>(std::move(error)));
            }
          });
        }
      });
}

const NodeBackend::GroupsByNode& NodeBackend::groups_by_node(
    const std::shared_ptr<const meta::RegistryView>& view) {
  if (indexed_view_ == view) return groups_by_node_;
  groups_by_node_.clear();
  view->for_each_group([this](const meta::GroupRecord& group) {
    if (group.id == meta::kRegistryGroup) return;
    for (const meta::MemberRecord& member : group.members) {
      groups_by_node_[member.replica.node().value].push_back(group.id);
    }
  });
  for (auto& [node, groups] : groups_by_node_) {
    std::sort(groups.begin(), groups.end());
    // A leaving replica and its successor are on the same node.
    groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  }
  indexed_view_ = view;
  return groups_by_node_;
}

void NodeBackend::list_nodes(Callback<void(Reply<std::vector<rest::NodeInfo>>)> done) {
  const auto view = context_.controller->view();
  const GroupsByNode& groups = groups_by_node(view);
  std::vector<rest::NodeInfo> nodes;
  for (const meta::NodeRecord& record : view->nodes()) {
    rest::NodeInfo info;
    info.id = record.id;
    info.raft_address = record.raft_address;
    info.api_address = record.api_address;
    info.state = record.state == meta::NodeState::kLeaving ? "leaving" : "member";
    info.self = record.id == context_.node;
    if (const auto found = groups.find(record.id.value); found != groups.end()) {
      info.groups = found->second;
    }
    nodes.push_back(std::move(info));
  }
  done({std::move(nodes), {}});
}

// -- Changes of the cluster.

void NodeBackend::create_group(GroupId group, std::vector<NodeId> nodes,
                               Callback<void(Reply<rest::Done>)> done) {
  context_.controller->create_group(group, std::move(nodes), executor_,
                                    [done = std::move(done)](Status status) mutable {
                                      if (status) {
                                        done({rest::Done{}, {}});
                                      } else {
                                        done(failure<rest::Done>(to_error(status)));
                                      }
                                    });
}

void NodeBackend::add_member(GroupId group, NodeId node, bool voter,
                             Callback<void(Reply<rest::GroupInfo>)> done) {
  context_.controller->add_member(group, node, voter, executor_,
                                  [this, group, done = std::move(done)](Status status) mutable {
                                    if (status) {
                                      group_info(group, std::move(done));
                                    } else {
                                      done(failure<rest::GroupInfo>(to_error(status)));
                                    }
                                  });
}

void NodeBackend::remove_member(GroupId group, NodeId node,
                                Callback<void(Reply<rest::Done>)> done) {
  context_.controller->remove_member(group, node, executor_,
                                     [done = std::move(done)](Status status) mutable {
                                       if (status) {
                                         done({rest::Done{}, {}});
                                       } else {
                                         done(failure<rest::Done>(to_error(status)));
                                       }
                                     });
}

// -- Probes and metrics.

std::vector<rest::ReadinessCheck> NodeBackend::readiness() {
  const bool draining = context_.draining.load();
  const bool member = context_.ready.load();
  const host::NodeHost& host = *context_.host;
  rest::ReadinessCheck disk{"disk", true, ""};
  if (const std::optional<int64_t> stalled_ns = host.disk_stalled_ns()) {
    disk = {"disk", false,
            "stalled: a write of the log has been waiting for " +
                std::to_string(*stalled_ns / env::kMillisecond) + " ms"};
  } else if (host.disk().low()) {
    disk.detail = host.disk().refusal().message();  // It serves reads and deletes.
  }
  rest::ReadinessCheck engine{"engine", true, ""};
  if (const std::optional<int64_t> stalled_ns = host.engine_stalled_ns()) {
    engine = {"engine", false,
              "stalled: it has stored nothing of what was applied for " +
                  std::to_string(*stalled_ns / env::kMillisecond) + " ms"};
  }
  const LeaderGauge leaders = context_.watch->leaders();
  LeaderGauge::Verdict registry = leaders.registry();
  if (!member) registry = {false, "this node has not caught up with the cluster's registry yet"};
  LeaderGauge::Verdict groups = leaders.groups();
  return {{"accepting", !draining, draining ? "this node is shutting down" : ""},
          {"registry", registry.ok, std::move(registry.detail)},
          {"groups", groups.ok, std::move(groups.detail)},
          std::move(disk),
          std::move(engine)};
}

void NodeBackend::metrics(Callback<void(std::string)> done) {
  context_.host->stats(executor_, [this, done = std::move(done)](host::HostStats stats) mutable {
    MetricsInput input;
    input.node = context_.node;
    input.host = stats;
    input.engine = context_.engine->stats();
    input.uptime_ns = context_.clock->now() - context_.started;
    input.http_connections_max = context_.http_connections_max;
    input.log_lines_lost = log_lines_lost();
    done(render_metrics(input));
  });
}

}  // namespace multiraft::server
