#pragma once
// Clients' callbacks, gathered while replicas are at work and run when none is: a callback may do
// anything with the host, also destroy the replica that it was about.

#include <utility>
#include <vector>

#include "base/task.h"
#include "host/node_host.h"
#include "multiraft/types.h"

namespace multiraft::host {

/// Of one worker, on its thread.
class Answers {
 public:
  struct Write {
    Callback<void(WriteResult)> done;
    WriteResult result;
  };
  struct Read {
    GroupId group;
    ReplicaId replica;
    ReadPermit permit;
    Callback<void(ReadPermit)> done;
  };

  bool empty() const { return writes_.empty() && reads_.empty(); }
  void add(Write write) { writes_.push_back(std::move(write)); }
  void add(Read read) { reads_.push_back(std::move(read)); }

  /// Runs what is there now; what the callbacks add waits for the next call.
  /// `state_machine(group, replica)` finds what a permit is for; null where the replica has gone
  /// since, by a callback before this one perhaps.
  template <class Find>
  void run(Find&& state_machine) {
    std::vector<Write> writes = std::exchange(writes_, {});
    std::vector<Read> reads = std::exchange(reads_, {});
    for (Write& write : writes) write.done(std::move(write.result));
    for (Read& read : reads) {
      if (read.permit.status) {
        read.permit.state_machine = state_machine(read.group, read.replica);
        if (read.permit.state_machine == nullptr) {
          read.permit.status = Status(StatusCode::kNotFound, "the replica left this node");
        }
      }
      read.done(std::move(read.permit));
    }
  }

 private:
  std::vector<Write> writes_;
  std::vector<Read> reads_;
};

}  // namespace multiraft::host
