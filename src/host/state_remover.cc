#include "host/state_remover.h"

#include <span>
#include <utility>

namespace multiraft::host {

void StateRemover::remove(StateMachineEngine& engine, GroupId group, Callback<void(Status)> done) {
  {
    MutexLock lock(mutex_);
    Queue& queue = queues_[&engine];
    queue.waiting.push_back({group, std::move(done)});
    if (std::exchange(queue.running, true)) return;
  }
  post(engine);
}

void StateRemover::clear(StateMachineEngine& engine, GroupId group, Callback<void(Status)> done) {
  pool_.post(env::BlockingPool::Lane::kBulk, [&engine, group, done = std::move(done)]() mutable {
    done(engine.destroy(std::span(&group, 1)));
  });
}

void StateRemover::post(StateMachineEngine& engine) {
  pool_.post(env::BlockingPool::Lane::kBulk, [this, &engine] { run(engine); });
}

void StateRemover::run(StateMachineEngine& engine) {
  std::vector<Removal> removals;
  {
    MutexLock lock(mutex_);
    removals.swap(queues_[&engine].waiting);
  }
  std::vector<GroupId> groups;
  groups.reserve(removals.size());
  for (const Removal& removal : removals) groups.push_back(removal.group);
  const Status status = engine.destroy(groups);
  for (Removal& removal : removals) removal.done(status);
  {
    MutexLock lock(mutex_);
    Queue& queue = queues_[&engine];
    queue.running = !queue.waiting.empty();
    if (!queue.running) return;
  }
  post(engine);
}

}  // namespace multiraft::host
