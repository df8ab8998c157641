#pragma once
// Drops the states of replicas from their engines, away from the workers.

#include <map>
#include <vector>

#include "base/mutex.h"
#include "base/task.h"
#include "env/blocking_pool.h"
#include "multiraft/state_machine.h"
#include "multiraft/status.h"
#include "multiraft/types.h"

namespace multiraft::host {

/// One for all workers of a node. Removals that come while another is under way go to their engine
/// in one call: it costs as many syncs as a single one. Thread-safe.
class StateRemover {
 public:
  explicit StateRemover(env::BlockingPool& pool) : pool_(pool) {}

  /// Drops what the engine holds of a group; nothing is fine. `done` comes on a thread of the pool,
  /// and not at all once the pool was stopped. After an error the state may still be there.
  void remove(StateMachineEngine& engine, GroupId group, Callback<void(Status)> done);
  /// The same for a group that hardly has a state, before it is created: waits for no other
  /// group's, and fails with none.
  void clear(StateMachineEngine& engine, GroupId group, Callback<void(Status)> done);

 private:
  struct Removal {
    GroupId group;
    Callback<void(Status)> done;
  };
  struct Queue {
    std::vector<Removal> waiting;
    bool running = false;
  };
  void run(StateMachineEngine& engine);
  void post(StateMachineEngine& engine);

  env::BlockingPool& pool_;
  Mutex mutex_;
  /// An engine that hangs keeps nobody else waiting.
  std::map<StateMachineEngine*, Queue> queues_ MR_GUARDED_BY(mutex_);
};

}  // namespace multiraft::host
