#pragma once
// What every part of a transport knows: who we are, the options, the environment, the counters.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

#include "env/env.h"
#include "nodes/boot_table.h"
#include "nodes/contact_table.h"
#include "transport/transport.h"
#include "wire/handshake.h"

namespace multiraft::transport {

// What refusals say, and is looked for in them.
inline constexpr std::string_view kOtherCluster = "belongs to another cluster";
inline constexpr std::string_view kLeadsBack = "the address leads back";

/// Of one thread, read by others. Nobody else writes, so that counting costs no locked instruction.
class Counter {
 public:
  void add(uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void set(uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

struct alignas(64) Counters {
  Counter frames_sent, frames_received, bytes_sent, bytes_received;
  Counter messages_sent, messages_received, messages_dropped;
  Counter frames_rejected, connections_refused;
  Counter snapshots_sending, snapshots_receiving;
  Counter snapshots_resumed, snapshots_refused, snapshots_abandoned;
  Counter snapshot_chunks_sent, snapshot_chunks_resent;
  Counter snapshot_bytes_sent, snapshot_bytes_received;

  void add_to(TransportStats& stats) const {
    stats.frames_sent += frames_sent.get();
    stats.frames_received += frames_received.get();
    stats.bytes_sent += bytes_sent.get();
    stats.bytes_received += bytes_received.get();
    stats.messages_sent += messages_sent.get();
    stats.messages_received += messages_received.get();
    stats.messages_dropped += messages_dropped.get();
    stats.frames_rejected += frames_rejected.get();
    stats.connections_refused += connections_refused.get();
    stats.snapshots_sending += snapshots_sending.get();
    stats.snapshots_receiving += snapshots_receiving.get();
    stats.snapshots_resumed += snapshots_resumed.get();
    stats.snapshots_refused += snapshots_refused.get();
    stats.snapshots_abandoned += snapshots_abandoned.get();
    stats.snapshot_chunks_sent += snapshot_chunks_sent.get();
    stats.snapshot_chunks_resent += snapshot_chunks_resent.get();
    stats.snapshot_bytes_sent += snapshot_bytes_sent.get();
    stats.snapshot_bytes_received += snapshot_bytes_received.get();
  }
};

/// Immutable but for the cluster and the counters. Outlives all parts, some of which outlive the
/// transport by a callback.
struct Context {
  Context(TransportOptions o, env::Environment& e)
      : options(std::move(o)),
        env(e),
        worker_counters(options.workers.size()),
        boots(options.identity.node),
        cluster_(options.identity.cluster.value) {
    for (const wire::BootRecord& life : options.boots) boots.learn(life);
  }

  /// Of those who need not be members: one address never takes all places.
  size_t strangers_per_source_max() const {
    return std::max<size_t>(1, options.handshakes_max / 4);
  }

  const TransportOptions options;
  env::Environment& env;
  std::vector<Counters> worker_counters;  ///< One for each worker's thread.
  Counters snapshot_counters;             ///< For the snapshot thread.
  nodes::BootTable boots;
  nodes::ContactTable contacts;

  ClusterId cluster() const { return ClusterId(cluster_.load(std::memory_order_acquire)); }
  void set_cluster(ClusterId cluster) { cluster_.store(cluster.value, std::memory_order_release); }
  NodeId self() const { return options.identity.node; }
  uint32_t workers() const { return static_cast<uint32_t>(options.workers.size()); }
  env::MonotonicTime now() const { return env.clock().now(); }

  wire::Hello hello(wire::ConnectionKind kind, uint32_t worker, NodeId to) const {
    wire::Hello hello;
    hello.kind = kind;
    hello.worker = static_cast<uint16_t>(worker);
    hello.workers = static_cast<uint16_t>(workers());
    hello.cluster = cluster();
    hello.node = self();
    hello.incarnation = options.identity.incarnation;
    hello.to = to;
    hello.state = options.identity.state;
    hello.life = options.identity.life;
    hello.recovered = options.recovered;
    hello.raft_address = options.raft_address;
    return hello;
  }
  /// The answer to a hello that names `theirs` as its cluster.
  wire::HelloReply reply(const Status& verdict, ClusterId theirs,
                         wire::BootRecord known = {}) const {
    wire::HelloReply reply;
    reply.code = verdict.code();
    reply.cluster = theirs == cluster() ? theirs : ClusterId();
    reply.node = self();
    reply.incarnation = options.identity.incarnation;
    reply.text = verdict.message();
    reply.known = std::move(known);
    return reply;
  }
  /// Another node has shown that this one's state is too old: it must not take part in anything,
  /// not even with those who do not know it yet.
  void fall_silent() { silent_.store(true, std::memory_order_relaxed); }
  bool silent() const { return silent_.load(std::memory_order_relaxed); }
  void boots_changed() const {
    if (options.on_boots_changed) options.on_boots_changed();
  }
  void learn(NodeId teller, const std::vector<wire::BootRecord>& told) {
    bool changed = false;
    for (const wire::BootRecord& life : told) changed |= boots.learn_from(teller, life);
    if (changed) boots_changed();
  }
  void problem(const Status& status) const {
    if (options.on_problem) options.on_problem(status);
  }

 private:
  std::atomic<uint64_t> cluster_;
  std::atomic<bool> silent_{false};
};

}  // namespace multiraft::transport
