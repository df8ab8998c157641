// How a replica stops taking part: over what cannot be, and at a command that this program does not
// know.

#include <utility>

#include "base/coverage.h"
#include "host/replica.h"

namespace multiraft::host {

void Replica::stop_taking_part(ReplicaId from, raft::MessageType type, const Status& why) {
  // Two leaders of one term, an append that contradicts what is committed, a log that has lost what
  // it had acknowledged: whoever of the two is wrong, going on could only spread it.
  MR_COVERAGE("replica stopped over what cannot be");
  stop_ = Status(StatusCode::kUnavailable,
                 "group " + to_string(id()) + ": the replica on node " +
                     to_string(replica().node()) + " takes no further part, because of a " +
                     std::string(raft::message_type_name(type)) + " of node " +
                     to_string(from.node()) + ": " + std::string(why.message()));
  services_.warn(stop_.message() +
                 ". Keep the state directories of both nodes for examination, and "
                 "replace the replica that is wrong");
  services_.note_stopped(*this);
  core_->set_electable(false);
  core_->step_down();
  fail_all(stop_);
}

void Replica::stop_before(const raft::Entry& entry, const Status& why) {
  // To skip what others apply would make this copy differ from theirs, silently and for good. The
  // entries from here on stay in the log for the program that knows them.
  MR_COVERAGE("replica stopped at a command that is not known");
  stop_ =
      Status(StatusCode::kUnsupported,
             "group " + to_string(id()) + ": the replica on node " + to_string(replica().node()) +
                 " has stopped before entry " + to_string(entry.index) + ": " + why.message() +
                 ". A newer version of multiraft has written it: upgrade node " +
                 to_string(replica().node()) +
                 ". The replica goes on from there once the node runs a program that knows "
                 "the command");
  services_.warn(stop_.message());
  services_.note_stopped(*this);
  services_.count_to_upgrade(+1);
  // What was applied before the entry is still answered, by finish_apply().
  to_apply_.clear();
  applied_of_front_ = 0;
  applicable_ = 0;
  core_->set_electable(false);
  core_->hold_applying(true);
  fail_waiting(stop_);
  if (core_->role() != raft::Role::kLeader) return;
  if (only_voter()) {
    core_->step_down();
    return;
  }
  // It goes on as a leader that takes no requests until another member has taken over.
  handing_over_ = true;
  (void)hand_over();
  services_.activate(*this);
}

void Replica::tick_stopped() {
  // An engine that refuses what was applied before may go on refusing it.
  expire_applied(services_.now());
  if (!handing_over_) return;
  if (core_->role() == raft::Role::kLeader && core_->status().transfer_target != raft::kNoReplica) {
    return;
  }
  // Done, or nobody could take over in time: then whoever is elected leads.
  MR_COVERAGE("stopped leader has handed over or given up");
  handing_over_ = false;
  core_->step_down();
}

bool Replica::refuse_if_stopped(PendingWrite& write) {
  if (!stopped()) return false;
  WriteResult result;
  // Another node may be able to serve those that it has passed on.
  result.status = write.forwarded ? Status(StatusCode::kNotLeader, stop_.message()) : stop_;
  write.done(std::move(result));
  return true;
}

}  // namespace multiraft::host
