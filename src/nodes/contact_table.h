#pragma once
// Whether other nodes are alive, as far as this process can see: from its connections, not from
// what anybody says.

#include <absl/container/flat_hash_map.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/mutex.h"
#include "env/clock.h"
#include "multiraft/types.h"

namespace multiraft::nodes {

/// What is known of one node at the moment of asking.
struct Contact {
  /// A connection for messages is open, to it or from it.
  bool connected = false;
  /// When bytes from it last arrived, in a handshake or later. Never: the smallest time.
  env::MonotonicTime last_heard{INT64_MIN};
  /// When a connection to it last could not be made, or broke. Never: the smallest time.
  env::MonotonicTime last_failed{INT64_MIN};
  /// Of the process that was connected last (Identity::incarnation). 0: never.
  uint64_t incarnation = 0;

  /// Heard of within `within_ns` before `now`, and connected. A process that ends closes its
  /// connections at once; a machine that loses its power is noticed by silence only.
  bool alive(env::MonotonicTime now, int64_t within_ns) const {
    return connected && last_heard.ns != INT64_MIN && now - last_heard <= within_ns;
  }
};

/// One per process. Any thread.
class ContactTable {
 public:
  /// One node. Connections hold it and write to it on their own threads, without a lock.
  class Entry {
   public:
    void opened(env::MonotonicTime now, uint64_t incarnation);
    void closed(env::MonotonicTime now);
    void heard(env::MonotonicTime now);
    /// An attempt to connect failed.
    void failed(env::MonotonicTime now);
    Contact read() const;

   private:
    std::atomic<uint32_t> connections_{0};
    std::atomic<int64_t> last_heard_ns_{INT64_MIN};
    std::atomic<int64_t> last_failed_ns_{INT64_MIN};
    std::atomic<uint64_t> incarnation_{0};
  };

  std::shared_ptr<Entry> entry(NodeId node);
  Contact contact(NodeId node) const;
  void forget(NodeId node);

 private:
  mutable Mutex mutex_;
  absl::flat_hash_map<uint64_t, std::shared_ptr<Entry>> entries_ MR_GUARDED_BY(mutex_);
};

/// An open connection, as the table counts it: from construction or open() to close().
class CountedConnection {
 public:
  explicit CountedConnection(std::shared_ptr<ContactTable::Entry> entry)
      : entry_(std::move(entry)) {}
  CountedConnection(const CountedConnection&) = delete;
  CountedConnection& operator=(const CountedConnection&) = delete;

  void open(env::MonotonicTime now, uint64_t incarnation) {
    if (std::exchange(open_, true)) return;
    entry_->opened(now, incarnation);
  }
  void heard(env::MonotonicTime now) { entry_->heard(now); }
  void failed(env::MonotonicTime now) {
    if (open_) return close(now);
    entry_->failed(now);
  }
  void close(env::MonotonicTime now) {
    if (std::exchange(open_, false)) entry_->closed(now);
  }

 private:
  const std::shared_ptr<ContactTable::Entry> entry_;
  bool open_ = false;
};

}  // namespace multiraft::nodes
