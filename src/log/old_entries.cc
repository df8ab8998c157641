#include "log/old_entries.h"

#include <algorithm>

#include "base/coverage.h"
#include "base/limits.h"
#include "log/group_state.h"

namespace multiraft::log {
namespace {

/// At a time: a disk serves two in little more time than one, and the pool has other work.
constexpr size_t kReadsMax = 2;
/// About so much is read at once; one large entry may exceed it.
constexpr size_t kReadBytesMax = limits::kMiB;
/// Of entries that nobody has fetched. Who asked fetches them at once; what lies here for longer
/// is for somebody who does not need it any more.
constexpr uint64_t kKeptBytesMax = 16 * limits::kMiB;

}  // namespace

OldEntries::OldEntries(env::BlockingPool& pool, env::Clock& clock, env::Executor& owner,
                       Callbacks callbacks)
    : pool_(pool), clock_(clock), owner_(owner), callbacks_(std::move(callbacks)) {}

OldEntries::~OldEntries() { *self_ = nullptr; }

size_t OldEntries::take(const GroupState& group, LogIndex low, LogIndex high,
                        std::vector<raft::Entry>& entries) {
  auto found = windows_.upper_bound({group.group(), low});
  if (found == windows_.begin()) return 0;
  --found;
  const Window& window = found->second;
  if (found->first.first != group.group() || low >= window.read.high()) return 0;
  if (!group.holds(window.read)) {
    drop(found);
    return 0;
  }
  const size_t first = low - window.read.low;
  const size_t end = std::min(high, window.read.high()) - window.read.low;
  entries.insert(entries.end(), window.entries.begin() + static_cast<ptrdiff_t>(first),
                 window.entries.begin() + static_cast<ptrdiff_t>(end));
  if (end == window.entries.size()) drop(found);
  return end - first;
}

void OldEntries::request(GroupId group, LogIndex low, LogIndex high, size_t bytes_max) {
  const Key key{group, low};
  if (failed_ || !asked_.insert(key).second) return;
  waiting_.push_back({key, high, std::min(bytes_max, kReadBytesMax)});
  start_next();
}

void OldEntries::start_next() {
  while (!failed_ && !waiting_.empty() && under_way_.size() < kReadsMax) {
    const Request request = waiting_.front();
    waiting_.pop_front();
    const GroupState* group = callbacks_.find(request.key.first);
    auto job = std::make_shared<Job>();
    job->key = request.key;
    if (group) job->read = group->plan_read(request.key.second, request.high, request.bytes_max);
    if (job->read.places.empty()) {  // They are gone.
      asked_.erase(request.key);
      continue;
    }
    job->began = clock_.now();
    under_way_.push_back(job);
    pool_.post(env::BlockingPool::Lane::kUrgent, [job, owner = &owner_, self = self_] {
      job->result.emplace(carry_out(job->read));
      owner->post([job, self] {
        if (*self) (*self)->on_read(job);
      });
    });
  }
}

void OldEntries::on_read(const std::shared_ptr<Job>& job) {
  under_way_.remove(job);
  asked_.erase(job->key);
  if (failed_) return;
  const GroupState* group = callbacks_.find(job->key.first);
  if (group && group->holds(job->read)) {
    if (!*job->result) {
      failed_ = true;
      return callbacks_.failed(job->result->status());
    }
    keep(*job, std::move(**job->result));
  } else {
    // Truncated, replaced, compacted or written again meanwhile: the file may hold anything there
    // by now, and an error would be none.
    MR_COVERAGE("log.entries_moved_while_read");
  }
  start_next();
  if (group) callbacks_.ready(job->key.first);
}

void OldEntries::keep(Job& job, std::vector<raft::Entry> entries) {
  Window window{std::move(job.read), std::move(entries), 0, {}};
  for (const raft::Entry& entry : window.entries) window.bytes += entry.data.size();
  window.bytes += window.entries.size() * (sizeof(raft::Entry) + sizeof(EntryRead::Place));
  if (const auto same = windows_.find(job.key); same != windows_.end()) drop(same);
  while (!ages_.empty() && bytes_ + window.bytes > kKeptBytesMax) {
    MR_COVERAGE("log.read_entries_dropped");
    drop(windows_.find(ages_.front()));
  }
  bytes_ += window.bytes;
  window.age = ages_.insert(ages_.end(), job.key);
  windows_.emplace(job.key, std::move(window));
}

OldEntries::Windows::iterator OldEntries::drop(Windows::iterator window) {
  bytes_ -= window->second.bytes;
  ages_.erase(window->second.age);
  return windows_.erase(window);
}

void OldEntries::forget(GroupId group) {
  auto at = windows_.lower_bound({group, LogIndex(0)});
  while (at != windows_.end() && at->first.first == group) at = drop(at);
}

std::optional<env::MonotonicTime> OldEntries::oldest() const {
  if (under_way_.empty()) return std::nullopt;
  return under_way_.front()->began;
}

}  // namespace multiraft::log
