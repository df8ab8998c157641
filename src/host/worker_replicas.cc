// Replicas come to a worker and leave it. Both involve the log and the engine, of which the engine
// works on the pool: a group's number is not used meanwhile.

#include <utility>

#include "base/assert.h"
#include "base/coverage.h"
#include "host/succession.h"
#include "host/worker.h"

namespace multiraft::host {

Status Worker::check_create(GroupId id) {
  if (closed_) return {StatusCode::kCancelled, "this node stops"};
  if (stall_.stalled()) return {StatusCode::kUnavailable, disk_stall_message()};
  if (const EngineLane& lane = lane_of(id); lane.refusing()) {
    return {StatusCode::kUnavailable, engine_stall_text(lane)};
  }
  if (group(id)) return {StatusCode::kAlreadyExists, "the node hosts this group already"};
  return Status::ok();
}

void Worker::create_replica(GroupId id, ReplicaId replica, const raft::Snapshot& mark,
                            Callback<void(Status)> done) {
  Status status = check_create(id);
  if (status && leaving_.contains(id)) {
    status = {StatusCode::kUnavailable,
              leaving_[id].creating ? "the group's replica is being created"
                                    : "the group's former replica is still being destroyed"};
  }
  if (!status) return done(status);
  // Away from this thread: what a predecessor left, should the process have ended between its two
  // removals.
  Leaving& leaving = leaving_[id];
  leaving.creating = true;
  leaving.done.push_back([this, id, replica, mark, done = std::move(done)](Status dropped) mutable {
    if (dropped) dropped = check_create(id);
    if (dropped) dropped = make_replica(id, replica, mark);
    if (!dropped) return done(dropped);
    log::GroupAppend nothing;
    nothing.group = id;
    log_->stage(nothing, [done = std::move(done)]() mutable { done(Status::ok()); });
    schedule_turn();
  });
  peers_.remover().clear(options_.engine(id), id, when_dropped(id));
}

Status Worker::make_replica(GroupId id, ReplicaId replica, const raft::Snapshot& mark) {
  auto created = log_->create_group(id, replica, mark);
  if (!created) return created.status();
  if (const Status opened = open_group(id); !opened) {
    MR_COVERAGE("creation of a replica undone");
    leaving_[id];
    remove_from_log(id, replica);
    return opened;
  }
  if (!mark.conf_state.voters.empty()) {
    // A founder. One of them goes ahead, so that the others need not compete; for each group
    // another one, so that they spread.
    const bool first = succession_rank(id, mark.conf_state.voters, replica) == 0;
    group(id)->campaign_later(first ? 0
                                    : options_.heartbeat_ns +
                                          static_cast<int64_t>(random_.below(
                                              static_cast<uint64_t>(2 * options_.heartbeat_ns))));
  }
  return Status::ok();
}

void Worker::destroy_replica(GroupId id, ReplicaId replica, Callback<void(Status)> done) {
  if (closed_) return done(Status(StatusCode::kUnavailable, "this node stops"));
  if (const auto leaving = leaving_.find(id); leaving != leaving_.end()) {
    // It may be this replica that is being created or is on its way out, or what a crash left of
    // it: either way there is an end to wait for.
    leaving->second.done.push_back([this, id, replica, done = std::move(done)](Status) mutable {
      destroy_replica(id, replica, std::move(done));
    });
    return;
  }
  Replica* doomed = find(id, replica);
  if (!doomed) return done(Status::ok());
  doomed->fail_all(Status(StatusCode::kNotFound, "the replica was removed from this node"));
  forget(*doomed);
  groups_.erase(id.value);
  leaving_[id].done.push_back(std::move(done));
  remove_from_log(id, replica);
}

// The log first, durably: a state without a log is dropped at the next start; a log without its
// state would not start.
void Worker::remove_from_log(GroupId id, ReplicaId replica) {
  const Status removed = log_->remove_group(id, [this, id, replica, alive = alive_] {
    if (!*alive || closed_) return;
    peers_.snapshots().forget(id, replica);
    peers_.remover().remove(options_.engine(id), id, when_dropped(id));
  });
  MR_ASSERT_MSG(removed.is_ok(), "a replica without a log");
  schedule_turn();
}

void Worker::drop_leftovers(const std::vector<GroupId>& groups) {
  if (closed_) return;
  if (!recovered_any_) {
    MR_COVERAGE("states beside an empty log are kept");
    warn("the log of worker " + std::to_string(index_) +
         " held no group at the start, but there are states of " + std::to_string(groups.size()) +
         " groups. They are kept until these groups are created here again");
    return;
  }
  for (const GroupId id : groups) {
    if (groups_.contains(id.value) || !leaving_.try_emplace(id).second) continue;
    MR_COVERAGE("state of a removed replica found at start");
    warn("group " + to_string(id) +
         ": the state of a replica that was removed is still here, and is dropped now");
    peers_.remover().remove(options_.engine(id), id, when_dropped(id));
  }
}

Callback<void(Status)> Worker::when_dropped(GroupId id) {
  return [this, alive = alive_, id](Status status) {
    executor_.post([this, alive, id, status = std::move(status)] {
      if (*alive && !closed_) state_dropped(id, status);
    });
  };
}

void Worker::state_dropped(GroupId id, const Status& status) {
  Leaving& leaving = leaving_[id];
  if (status || leaving.creating) {
    std::vector<Callback<void(Status)>> waiting = std::move(leaving.done);
    leaving_.erase(id);
    for (auto& done : waiting) done(status);
    return;
  }
  const StatusCode code = status.code();
  if (code != StatusCode::kNoSpace && code != StatusCode::kOverloaded) return fatal(status);
  MR_COVERAGE("removal of a state is tried again");
  if (code == StatusCode::kNoSpace && !std::exchange(leaving.warned, true)) {
    warn("group " + to_string(id) +
         ": the state of a removed replica cannot be dropped yet and is tried again: " +
         status.message());
  }
  executor_.run_at(now() + options_.heartbeat_ns, [this, alive = alive_, id] {
    if (*alive && !closed_) {
      peers_.remover().remove(options_.engine(id), id, when_dropped(id));
    }
  });
}

}  // namespace multiraft::host
