#pragma once
// Entries that are not cached any more, or not yet: read back from the segments by other threads
// for whoever asked, and kept until they are fetched.
//
//   entries() ──▶ take(): nothing there ──▶ request() ··· a thread reads ··· on_read(): the group
//   is notified ──▶ whoever asked asks again ──▶ take()
//
// Bounded: so many reads at a time, so many bytes that nobody has fetched. The owner's thread only.

#include <absl/container/flat_hash_set.h>

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/task.h"
#include "env/blocking_pool.h"
#include "env/env.h"
#include "log/entry_read.h"

namespace multiraft::log {

class GroupState;

class OldEntries {
 public:
  struct Callbacks {
    std::function<GroupState*(GroupId)> find;
    /// Entries of the group have been read, or have moved meanwhile: to be asked for again.
    std::function<void(GroupId)> ready;
    /// They cannot be read: kCorruption, or the error of the disk. Nothing is read any more.
    std::function<void(const Status&)> failed;
  };

  OldEntries(env::BlockingPool& pool, env::Clock& clock, env::Executor& owner, Callbacks callbacks);
  ~OldEntries();
  OldEntries(const OldEntries&) = delete;
  OldEntries& operator=(const OldEntries&) = delete;

  /// Appends entries of the group from `low` on, below `high`, to `entries`: what has been read and
  /// is still so. Returns how many. What was fetched to its end is forgotten.
  size_t take(const GroupState& group, LogIndex low, LogIndex high,
              std::vector<raft::Entry>& entries);
  /// Has them read, about `bytes_max` of them. No effect while that is under way.
  void request(GroupId group, LogIndex low, LogIndex high, size_t bytes_max);
  void forget(GroupId group);

  /// When the oldest read under way began.
  std::optional<env::MonotonicTime> oldest() const;
  uint64_t bytes() const { return bytes_; }

 private:
  using Key = std::pair<GroupId, LogIndex>;
  struct Request {
    Key key;
    LogIndex high;
    size_t bytes_max;
  };
  struct Job {
    Key key;
    EntryRead read;
    env::MonotonicTime began;
    std::optional<Result<std::vector<raft::Entry>>> result;
  };
  /// Entries that have been read.
  struct Window {
    EntryRead read;
    std::vector<raft::Entry> entries;
    uint64_t bytes = 0;
    std::list<Key>::iterator age;
  };
  using Windows = std::map<Key, Window>;

  void start_next();
  void on_read(const std::shared_ptr<Job>& job);
  void keep(Job& job, std::vector<raft::Entry> entries);
  Windows::iterator drop(Windows::iterator window);

  env::BlockingPool& pool_;
  env::Clock& clock_;
  env::Executor& owner_;
  const Callbacks callbacks_;
  std::deque<Request> waiting_;
  absl::flat_hash_set<Key> asked_;  ///< Waiting or under way.
  std::list<std::shared_ptr<Job>> under_way_;
  Windows windows_;
  std::list<Key> ages_;  ///< Oldest first.
  uint64_t bytes_ = 0;
  bool failed_ = false;
  std::shared_ptr<OldEntries*> self_ = std::make_shared<OldEntries*>(this);
};

}  // namespace multiraft::log
