#include "service/cold_reads.h"

#include <algorithm>
#include <utility>

#include "base/coverage.h"

namespace multiraft::service {

void ColdReads::get(std::shared_ptr<const kv::KvReader> reader, std::string key, Done done) {
  auto read = std::make_shared<Read>(
      Read{std::move(reader), std::move(key), clock_.now() + timeout_ns_, std::move(done)});
  bool refused = false;
  bool start = false;
  bool watch_begins = false;
  {
    MutexLock lock(mutex_);
    refused = waiting_.size() >= kWaitingMax;
    if (!refused) {
      ++count_;
      waiting_.push_back(read);
      start = tasks_ < kAtOnce;
      if (start) ++tasks_;
      watch_begins = !std::exchange(watching_, true);
    }
  }
  if (refused) {
    MR_COVERAGE("server: cold read refused");
    read->done(Status(StatusCode::kOverloaded, "too many reads wait for the disk of this node"));
    return;
  }
  if (start) pool_.post(env::BlockingPool::Lane::kUrgent, [this] { run(); });
  if (watch_begins) timer_.post([this] { watch(); });
}

void ColdReads::run() {
  std::shared_ptr<Read> read;
  {
    MutexLock lock(mutex_);
    if (waiting_.empty()) {  // All were given up.
      --tasks_;
      return;
    }
    read = std::move(waiting_.front());
    waiting_.pop_front();
    running_.push_back(read);
  }
  Value value = read->reader->get(read->key, kv::ReadTier::kAny);
  Done done;
  bool more = false;
  {
    MutexLock lock(mutex_);
    std::erase(running_, read);
    done = std::exchange(read->done, nullptr);
    more = !waiting_.empty();
    if (!more) --tasks_;
  }
  if (done) done(std::move(value));
  if (more) pool_.post(env::BlockingPool::Lane::kUrgent, [this] { run(); });
}

/// All have the same time, so that the first to come is the first to be late.
void ColdReads::watch() {
  give_up_late();
  env::MonotonicTime next;
  {
    MutexLock lock(mutex_);
    std::optional<env::MonotonicTime> deadline;
    if (!waiting_.empty()) deadline = waiting_.front()->deadline;
    for (const auto& read : running_) {
      if (read->done && (!deadline || read->deadline < *deadline)) deadline = read->deadline;
    }
    watching_ = deadline.has_value();
    if (!deadline) return;
    next = *deadline;
  }
  timer_.run_at(next, [this] { watch(); });
}

void ColdReads::give_up_late() {
  std::vector<Done> late;
  {
    MutexLock lock(mutex_);
    const env::MonotonicTime now = clock_.now();
    for (const auto& read : running_) {
      if (read->done && read->deadline <= now) late.push_back(std::exchange(read->done, nullptr));
    }
    while (!waiting_.empty() && waiting_.front()->deadline <= now) {
      late.push_back(std::move(waiting_.front()->done));
      waiting_.pop_front();
    }
  }
  for (Done& done : late) {
    MR_COVERAGE("server: cold read given up");
    done(Status(StatusCode::kUnavailable, "the disk of this node did not answer in time"));
  }
}

uint64_t ColdReads::count() const {
  MutexLock lock(mutex_);
  return count_;
}

}  // namespace multiraft::service
