#include "cluster/controller.h"

#include <utility>

#include "base/assert.h"
#include "cluster/cluster_agent.h"

namespace multiraft::cluster {

Controller::Controller(state_dir::NodeIdentity& identity, registry::RegistryEngine& registry,
                       env::Environment& env, ControllerOptions options,
                       ControllerCallbacks callbacks)
    : identity_(identity),
      registry_(registry),
      env_(env),
      options_(std::move(options)),
      callbacks_(std::move(callbacks)) {}

Controller::~Controller() { MR_ASSERT_MSG(!live_.load(), "destroyed before it was stopped"); }

Status Controller::attach(host::NodeHost& host) {
  MR_ASSERT(!work_);
  work_ = std::make_unique<ClusterAgent>(host, env_, identity_, registry_, options_, callbacks_);
  if (Status status = work_->check_start(); !status) {
    work_->context().stop();
    work_->close_files();
    return status;
  }
  // Events count from the moment the work has begun: what group 0 applies meanwhile on that very
  // thread must not overtake it, and start() looks for what it missed.
  work_->context().executor.run_and_wait([this] {
    live_.store(work_.get(), std::memory_order_release);
    work_->start();
  });
  return Status::ok();
}

void Controller::stop() {
  ClusterAgent* work = live_.exchange(nullptr);
  if (!work) return;
  work->context().executor.run_and_wait([work] { work->stop(); });
  work->close_files();
}

void Controller::create_group(GroupId group, std::vector<NodeId> nodes, env::Executor& reply_on,
                              Callback<void(Status)> done) {
  ClusterAgent* work = live_.load(std::memory_order_acquire);
  if (!work) {
    return NodeContext::reply(reply_on, std::move(done),
                              Status(StatusCode::kUnavailable, "this node starts or stops"));
  }
  work->context().executor.post(work->context().guard(
      [work, group, nodes = std::move(nodes), &reply_on, done = std::move(done)]() mutable {
        work->operations().create_group(group, std::move(nodes), reply_on, std::move(done));
      }));
}

void Controller::find_leader(GroupId group, env::Executor& reply_on, Callback<void(NodeId)> done) {
  const auto reply = [&reply_on](Callback<void(NodeId)> to, NodeId leader) {
    reply_on.post([to = std::move(to), leader]() mutable { to(leader); });
  };
  ClusterAgent* work = live_.load(std::memory_order_acquire);
  if (!work) return reply(std::move(done), NodeId());
  work->context().executor.post(
      work->context().guard([work, group, reply, done = std::move(done)]() mutable {
        work->leader_hints().find(group, [reply, done = std::move(done)](NodeId leader) mutable {
          reply(std::move(done), leader);
        });
      }));
}

void Controller::add_member(GroupId group, NodeId node, bool voter, env::Executor& reply_on,
                            Callback<void(Status)> done) {
  ClusterAgent* work = live_.load(std::memory_order_acquire);
  if (!work) {
    return NodeContext::reply(reply_on, std::move(done),
                              Status(StatusCode::kUnavailable, "this node starts or stops"));
  }
  work->context().executor.post(work->context().guard(
      [work, group, node, voter, &reply_on, done = std::move(done)]() mutable {
        work->operations().add_member(group, node, voter, reply_on, std::move(done));
      }));
}

void Controller::remove_member(GroupId group, NodeId node, env::Executor& reply_on,
                               Callback<void(Status)> done) {
  ClusterAgent* work = live_.load(std::memory_order_acquire);
  if (!work) {
    return NodeContext::reply(reply_on, std::move(done),
                              Status(StatusCode::kUnavailable, "this node starts or stops"));
  }
  work->context().executor.post(
      work->context().guard([work, group, node, &reply_on, done = std::move(done)]() mutable {
        work->operations().remove_member(group, node, reply_on, std::move(done));
      }));
}

void Controller::on_leadership(GroupId group, const raft::SoftState& state, Term) {
  ClusterAgent* work = live_.load(std::memory_order_acquire);
  if (!work) return;
  {
    MutexLock lock(leadership_mutex_);
    leadership_.emplace_back(group, state);
    if (leadership_.size() > 1) return;  // A task that takes them all is on its way.
  }
  // A node that goes takes its leaderships of thousands of groups with it: one task for what has
  // come together, not one for each.
  work->context().executor.post(work->context().guard([this, work] {
    for (const auto& [changed, now] : take_leadership()) work->leadership(changed, now);
  }));
}

std::vector<std::pair<GroupId, raft::SoftState>> Controller::take_leadership() {
  MutexLock lock(leadership_mutex_);
  return std::exchange(leadership_, {});
}

void Controller::on_conf_state(GroupId group, const raft::ConfState& state) {
  ClusterAgent* work = live_.load(std::memory_order_acquire);
  if (!work) return;
  work->context().executor.post(
      work->context().guard([work, group, state] { work->conf_state(group, state); }));
}

void Controller::on_applied(GroupId group, LogIndex) {
  if (group != registry::kRegistryGroup) return;
  if (ClusterAgent* work = live_.load(std::memory_order_acquire)) work->applied();
}

void Controller::on_boots_changed() {
  if (ClusterAgent* work = live_.load(std::memory_order_acquire)) work->boots_changed();
}

void Controller::on_state_rollback(const transport::StateRollback& rollback) {
  if (ClusterAgent* work = live_.load(std::memory_order_acquire)) work->on_state_rollback(rollback);
}

void Controller::on_address(NodeId node, const env::Address& address) {
  if (ClusterAgent* work = live_.load(std::memory_order_acquire))
    work->address_heard(node, address);
}

void Controller::on_unknown_caller(const transport::UnknownCaller& caller) {
  if (ClusterAgent* work = live_.load(std::memory_order_acquire)) work->unknown_caller(caller);
}

void Controller::on_stray_message(GroupId group, NodeId from_node, ReplicaId from, ReplicaId) {
  if (ClusterAgent* work = live_.load(std::memory_order_acquire)) {
    work->notices().on_stray(group, from_node, from);
  }
}

void Controller::on_request(NodeId from, wire::Request request,
                            Callback<void(StatusCode, SharedBytes)> respond) {
  ClusterAgent* work = live_.load(std::memory_order_acquire);
  if (!work) {
    respond(StatusCode::kUnavailable, SharedBytes::copy_of("this node starts or stops"));
    return;
  }
  work->context().executor.post(work->context().guard(
      [work, from, request = std::move(request), respond = std::move(respond)]() mutable {
        work->request(from, request, std::move(respond));
      }));
}

void Controller::on_node_down(NodeId node) {
  if (callbacks_.on_node_down) callbacks_.on_node_down(node);
}

void Controller::on_fatal(const Status& status) {
  if (callbacks_.on_fatal) callbacks_.on_fatal(status);
}

}  // namespace multiraft::cluster
