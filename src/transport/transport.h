#pragma once
// Bytes between nodes: one connection per (worker, node) for batches of all groups' messages, and
// connections of their own for snapshots.
//
// Delivery is at most once and in order per (sending worker, receiving node) while a connection
// lives; what is queued when it breaks is lost, and Raft copes. Nothing is ever queued without
// bound.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/task.h"
#include "env/env.h"
#include "multiraft/bytes.h"
#include "multiraft/status.h"
#include "multiraft/types.h"
#include "nodes/contact_table.h"
#include "wire/boot_record.h"
#include "wire/messages.h"

namespace multiraft::transport {

/// Who we are to others. Sent in every handshake, and checked by the other side.
struct Identity {
  ClusterId cluster;  ///< 0: not a member yet; only requests of kind kJoin pass.
  NodeId node;
  uint64_t incarnation = 0;  ///< Drawn at every start; distinguishes a restart from a pause.
  StateDirId state = {};     ///< Of the state directory. Empty: others need not watch its age.
  uint64_t life = 0;  ///< How often the state directory was started from, this time included.
};

/// Another node refuses this one, and rightly: this state directory is an older copy, or the disk
/// has lost what was durable (docs/adr/0010-state-rollback.md).
struct StateRollback {
  NodeId teller;
  env::Address address;    ///< Of the teller.
  wire::BootRecord known;  ///< What it knows of this node.
  std::string text;        ///< For the log.
};

/// One process of a node. A node that has started again is another one.
struct Process {
  NodeId node;
  uint64_t incarnation = 0;
  friend bool operator==(const Process&, const Process&) = default;
};

/// Where a node is reached, and which one it is.
struct NodeLocation {
  /// Tried in turn, the best first; at least one.
  std::vector<env::Address> addresses;
  /// Of its state directory, as registered. Empty: not known, any will do.
  StateDirId state = {};
  friend bool operator==(const NodeLocation&, const NodeLocation&) = default;
};

/// Whom to call: any node at an address, or only that node.
struct Callee {
  // NOLINTNEXTLINE(google-explicit-constructor): an address alone says whom to call.
  Callee(env::Address where, NodeId who = {}) : address(std::move(where)), node(who) {}
  env::Address address;
  NodeId node;
};

/// A node that connected and was refused because it is not known here.
struct UnknownCaller {
  NodeId node;
  std::string remote_address;  ///< Of its connection.
  /// It takes this node for a member of another cluster than the one that this node is in.
  bool other_cluster = false;
};

/// Takes what arrives for one worker, on its executor's thread.
class Receiver {
 public:
  virtual ~Receiver() = default;
  /// One decoded frame: all its messages, then one call of on_batch_end.
  virtual void on_message(NodeId from, wire::GroupMessage message) = 0;
  virtual void on_request(const Process& from, wire::Request request) = 0;
  virtual void on_response(NodeId from, wire::Response response) = 0;
  virtual void on_batch_end(NodeId from) = 0;
  /// The connection to a node broke or could not be made: messages in flight may be lost, and
  /// requests without a response have an unknown outcome. Also called for every failed attempt.
  virtual void on_disconnected(NodeId node, bool ever_connected) = 0;
  /// How far the worker's log is durable. Asked for each batch that leaves, so that nothing that
  /// was promised is known elsewhere without it. 0: not to be announced.
  virtual uint64_t durable_sequence() { return 0; }
};

/// A worker's half. All calls on that worker's thread.
class WorkerTransport {
 public:
  virtual ~WorkerTransport() = default;
  /// Queues. False: not accepted (no address, queue full), and nothing will be sent.
  virtual bool send(NodeId to, const wire::GroupMessage& message) = 0;
  /// Its id is below 2^63, and larger than those before. kUnavailable: no address. kOverloaded: too
  /// much waits to be sent, in bytes or because a write would wait for longer than
  /// TransportOptions::request_wait_max_ns. On error nothing will be sent.
  virtual Status send(NodeId to, wire::Request request) = 0;
  /// Nobody waits for the request any more. True: it has not begun to be sent and never will be, so
  /// that the other node has certainly not done it.
  virtual bool take_back(NodeId to, uint64_t request_id) = 0;
  /// Answers the process that asked. If its node has started again by the time the answer arrives,
  /// the answer is dropped there. A request that came by call() is known by its id, since its node
  /// may have no address; its answer leaves at once.
  virtual bool send(const Process& to, wire::Response response) = 0;
  /// Ends the turn: one batch goes to every destination that something was queued for, unless a
  /// write to it is under way, behind which the next batch gathers.
  virtual void flush() = 0;
};

/// Where the chunks of a snapshot come from. Called on the snapshot thread.
class ChunkSource {
 public:
  virtual ~ChunkSource() = default;
  virtual Status next(size_t bytes_target, std::string& chunk) = 0;  ///< Empty at the end.
};
/// Where they go. Called on the snapshot thread. Destroyed without finish(): discard.
class ChunkSink {
 public:
  virtual ~ChunkSink() = default;
  virtual Status append(std::string_view chunk) = 0;
  /// All chunks have come and checked. `done` is called on the snapshot thread, from within or
  /// later, with what is reported to the sender. The sink is destroyed as soon as this returns.
  virtual void finish(Callback<void(Status)> done) = 0;
};
class SnapshotReceiver {
 public:
  virtual ~SnapshotReceiver() = default;
  /// On the snapshot thread, and so is `done`, from within or later. An error refuses, and its text
  /// reaches the sender. Called once a stream, however often its connection breaks.
  virtual void on_snapshot(NodeId from, const wire::SnapshotHeader& header,
                           Callback<void(Result<std::unique_ptr<ChunkSink>>)> done) = 0;
};

struct TransportOptions {
  Identity identity;
  env::Address listen;
  std::string raft_address;             ///< Where others reach this node, sent in every handshake.
  std::vector<env::Executor*> workers;  ///< One WorkerTransport each.
  std::vector<Receiver*> receivers;     ///< In the order of workers.
  SnapshotReceiver* snapshot_receiver = nullptr;
  env::Executor* snapshot_executor = nullptr;  ///< For chunk sources and sinks, which may block.
  int64_t connect_timeout_ns = 1'000 * env::kMillisecond;
  int64_t reconnect_backoff_max_ns = 500 * env::kMillisecond;
  int64_t handshake_timeout_ns = 5 * env::kSecond;  ///< For those who connect to us.
  /// Under way, and callers without an answer. Of one address at most a quarter of them.
  size_t handshakes_max = 1024;
  /// From others, those of members included: beyond it, whoever comes is closed at once unless
  /// somebody who has not said hello yet can make room.
  size_t connections_max = 8192;
  /// Waiting to be sent by one worker, in all its queues. Heartbeats, votes and short answers have
  /// as much again.
  size_t send_queue_bytes_max = 128 * limits::kMiB;
  /// A forwarded write that would wait in the queue for longer is refused.
  int64_t request_wait_max_ns = 1 * env::kSecond;
  /// A node that takes none of what is sent to it for so long is connected to again. A network that
  /// comes back is noticed by a new connection within a second, but by an old one only when TCP
  /// tries again, which may be a minute later.
  int64_t peer_silence_max_ns = 3 * env::kSecond;
  /// How often a node says something to each node it knows, so that both notice when the other is
  /// gone although they have nothing to say. 0: never.
  int64_t keepalive_ns = 1 * env::kSecond;
  /// A snapshot stream on which nothing moves for so long is broken.
  int64_t snapshot_silence_max_ns = 60 * env::kSecond;
  /// A broken one is continued on another connection within this time, or never: so long both sides
  /// keep what they have, the one its view and the other its chunks.
  int64_t snapshot_resume_max_ns = limits::kSnapshotResumeSeconds * env::kSecond;
  uint64_t snapshot_bytes_per_second = 0;  ///< 0: no throttle. All that leave, uncompressed.
  /// Up to where the log of each worker was found at the start.
  std::vector<uint64_t> recovered;
  /// What this node knew of others when its last process wrote it down (Transport::lives()).
  std::vector<wire::BootRecord> boots;
  /// lives() has more to tell than how logs have grown. Any thread. May be empty.
  std::function<void()> on_boots_changed;
  /// A known node has connected and says that it is reached here, which it has not said before. Any
  /// thread. May be empty.
  std::function<void(NodeId, const env::Address&)> on_address;
  /// Somebody was refused who is no known node. Not called for every repetition. Any thread. May be
  /// empty.
  std::function<void(const UnknownCaller&)> on_unknown_caller;
  /// Told for every refusal. Any thread. May be empty.
  std::function<void(const StateRollback&)> on_state_rollback;
  /// Reports refused handshakes, in either direction, for the operator's log. Any thread. Not
  /// called for every repetition. May be empty.
  std::function<void(const Status&)> on_problem;
};

struct TransportStats {
  uint64_t frames_sent = 0, frames_received = 0, bytes_sent = 0, bytes_received = 0;
  uint64_t messages_sent = 0, messages_received = 0, messages_dropped = 0;
  uint64_t frames_rejected = 0;      ///< Garbage, oversized, wrong checksum or version.
  uint64_t connections_refused = 0;  ///< Handshakes of strangers.
  // Snapshots; bytes are those of contents, uncompressed.
  uint64_t snapshots_sending = 0, snapshots_receiving = 0;  ///< Now, broken connections included.
  uint64_t snapshots_resumed = 0;    ///< Connections of ours that went on where one broke.
  uint64_t snapshots_refused = 0;    ///< Not wanted here, or no room for them.
  uint64_t snapshots_abandoned = 0;  ///< Began to arrive here and did not end well.
  uint64_t snapshot_chunks_sent = 0, snapshot_chunks_resent = 0;
  uint64_t snapshot_bytes_sent = 0, snapshot_bytes_received = 0;
};

/// Whether a call failed because its address leads back to the node that calls.
bool leads_back(const Status& status);
/// Whether it failed because the node at the address is in another cluster.
bool is_other_cluster(const Status& status);

class Transport {
 public:
  virtual ~Transport() = default;

  /// Binds the raft port; the error is for the command line.
  static Result<std::unique_ptr<Transport>> start(TransportOptions options, env::Environment& env);

  virtual WorkerTransport& worker(uint32_t index) = 0;
  virtual uint16_t port() const = 0;
  /// Any thread. A node of the cluster, and where it is reached from now on; connections to another
  /// address than these end. Only nodes that were named here may connect for messages and
  /// snapshots.
  virtual void set_node(NodeId node, const NodeLocation& location) = 0;
  void set_address(NodeId node, const env::Address& address) { set_node(node, {{address}}); }
  /// Any thread. No further connections from or to it.
  virtual void forget(NodeId node) = 0;
  /// Any thread. Once known (after a join). Handshakes use it from now on.
  virtual void set_cluster(ClusterId cluster) = 0;
  /// Any thread. `done` runs on the executor that is given, with what the receiver's finish() said.
  virtual void send_snapshot(NodeId to, const wire::SnapshotHeader& header,
                             std::unique_ptr<ChunkSource> source, env::Executor& executor,
                             Callback<void(Status)> done) = 0;
  /// One request to an address instead of a known node, on a connection of its own: how a node that
  /// is no member yet asks to join. Runs on `executor`; answers go to `done`.
  virtual void call(const Callee& callee, wire::Request request, int64_t timeout_ns,
                    env::Executor& executor, Callback<void(Result<wire::Response>)> done) = 0;
  /// What is known of other nodes' state directories. Any thread.
  virtual std::vector<wire::BootRecord> boots() const { return {}; }
  /// Whether the node is alive, as far as this process sees it. Any thread; cheap. Nodes that have
  /// an address are heard of at least every TransportOptions::keepalive_ns while they live.
  virtual nodes::Contact contact(NodeId) const { return {}; }
  virtual TransportStats stats() const = 0;
  /// Closes everything. Not from a worker's thread; before the executors stop.
  virtual void stop() = 0;
};

}  // namespace multiraft::transport
