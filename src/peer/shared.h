#pragma once
// What all connections of one transport share. Thread-safe.

#include <absl/container/flat_hash_map.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

#include "peer/frame.h"
#include "transport/transport.h"

namespace multiraft::transport {

struct Counters {
  std::atomic<uint64_t> frames_sent{0}, frames_received{0}, bytes_sent{0}, bytes_received{0};
  std::atomic<uint64_t> messages_sent{0}, messages_received{0}, messages_dropped{0};
  std::atomic<uint64_t> frames_rejected{0}, connections_refused{0};

  static void add(std::atomic<uint64_t>& counter, uint64_t n) {
    counter.fetch_add(n, std::memory_order_relaxed);
  }
};

class Shared {
 public:
  Shared(const TransportOptions& transport_options, env::Environment& environment)
      : options(transport_options),
        env(environment),
        cluster_(transport_options.identity.cluster.value) {}

  ClusterId cluster() const { return ClusterId(cluster_.load(std::memory_order_relaxed)); }
  void set_cluster(ClusterId cluster) { cluster_.store(cluster.value, std::memory_order_relaxed); }

  std::optional<env::Address> address(NodeId node) {
    std::lock_guard lock(mutex_);
    auto found = addresses_.find(node.value);
    if (found == addresses_.end()) return std::nullopt;
    return found->second;
  }
  /// True where it changed.
  bool set_address(NodeId node, const env::Address& address) {
    std::lock_guard lock(mutex_);
    auto [entry, fresh] = addresses_.try_emplace(node.value, address);
    if (!fresh && entry->second == address) return false;
    entry->second = address;
    return true;
  }
  void forget(NodeId node) {
    std::lock_guard lock(mutex_);
    addresses_.erase(node.value);
  }

  peer::Hello hello(peer::ConnectionKind kind, NodeId expected, uint32_t worker) const {
    peer::Hello h;
    h.kind = kind;
    h.cluster = cluster();
    h.node = options.identity.node;
    h.expected = expected;
    h.incarnation = options.identity.incarnation;
    h.worker = worker;
    h.workers = static_cast<uint32_t>(options.workers.size());
    return h;
  }

  const TransportOptions options;
  env::Environment& env;
  Counters counters;

 private:
  std::atomic<uint64_t> cluster_;
  std::mutex mutex_;
  absl::flat_hash_map<uint64_t, env::Address> addresses_;
};

}  // namespace multiraft::transport
