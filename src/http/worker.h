#pragma once
// The HTTP connections of one worker.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/task.h"
#include "env/env.h"
#include "http/access_stats.h"
#include "http/body_buffer.h"
#include "http/connection.h"
#include "http/exchange.h"
#include "http/message.h"

namespace multiraft::http {

/// What answers requests. One per worker, called on its thread.
class Handler {
 public:
  virtual ~Handler() = default;

  /// How large a body this request may have, asked once its head is complete. A larger one is
  /// refused with kBodyTooLarge, unread.
  virtual size_t body_bytes_max(const RequestHead& head) = 0;
  /// Whether the request is to be answered even where there are too many connections.
  virtual bool is_probe(const RequestHead& head) = 0;
  /// False where the request will be refused whatever its body is: refuse() says why.
  virtual bool wants_body(const RequestHead& head) = 0;
  /// Answers by exchange->finish(), now or later. `head` and `body` are valid during the call.
  /// Requests that may change something come one at a time and alone (RFC 9112 9.3.2), safe ones of
  /// a connection may be under way together.
  virtual void handle(ExchangePtr exchange, const RequestHead& head, std::string_view body) = 0;
  /// Fills the response to a request that is not handled. `head` is null where there is none.
  virtual void refuse(Exchange& exchange, const RequestHead* head, ProtocolError error,
                      std::string_view detail) = 0;
};

/// How patient the server is, and how much it holds.
struct Limits {
  int64_t head_timeout_ns = 10 * env::kSecond;  ///< From a request's first byte to its empty line.
  int64_t idle_timeout_ns = 75 * env::kSecond;  ///< Between requests.
  int64_t body_window_ns = 10 * env::kSecond;   ///< In each of which a body has to progress by
  size_t body_window_bytes_min = 16 * limits::kKiB;       ///< that much, and
  size_t write_bytes_per_second_min = 16 * limits::kKiB;  ///< an answer by that much, after
  int64_t write_grace_ns = 10 * env::kSecond;             ///< that.
  int64_t linger_ns = 2 * env::kSecond;  ///< For what a refused client is still sending.
  size_t pipeline_max = 64;              ///< Requests under way on one connection.
  /// Of answers that one connection has, or will have at the size of those before, and that its
  /// client has not taken; beyond it no further request is read.
  size_t unsent_bytes_max = limits::kMiB;
  size_t connections_max = limits::kHttpConnectionsMax;
  /// Connections beyond those, on which only probes and metrics are answered, so that a crowd of
  /// clients does not make the node look dead. Further ones are closed at once.
  size_t probe_connections_max = 256;
  int64_t probe_head_timeout_ns = 2 * env::kSecond;  ///< Until such a one has sent its request.
  size_t pending_per_worker_max = limits::kPendingRequestsPerWorkerMax;
  size_t held_bytes_per_worker_max = 256 * limits::kMiB;  ///< Large bodies and values.
};

/// Owns connections, their timeouts and what they share. Every call on the executor's thread,
/// except construction and, once stop() has reported, destruction.
class Worker {
 public:
  struct Config {
    Limits limits;
    std::string request_id_prefix;  ///< Followed by a counter: unique in the cluster.
    std::string common_headers;     ///< Lines of every answer, each with its CRLF.
    /// Shared with the backend, which charges values. Null: one of the worker's own.
    std::shared_ptr<MemoryBudget> budget;
  };

  Worker(Config config, env::Executor& executor, env::Clock& clock, Handler& handler,
         AccessStats& stats);
  ~Worker();

  /// A new connection. `probes_only`: over the limit; all but probes are refused.
  void adopt(std::unique_ptr<env::Stream> stream, ConnectionSlot slot, bool probes_only);
  /// From now on every answer closes its connection; idle ones stay until they ask again.
  void begin_drain() { draining_ = true; }
  /// Closes idle connections, finishes what is in flight, closes the rest after `grace_ns`; then
  /// calls `stopped`, after which nothing refers to this object. Once; no adopt() after it.
  void stop(int64_t grace_ns, Task stopped);

  // For connections and handlers.
  const Limits& limits() const { return config_.limits; }
  std::string_view common_headers() const { return config_.common_headers; }
  Handler& handler() { return handler_; }
  AccessStats& stats() { return stats_; }
  ExchangePool& exchanges() { return *exchanges_; }
  MemoryBudget& budget() { return *budget_; }
  const std::shared_ptr<MemoryBudget>& shared_budget() { return budget_; }
  bool is_overloaded() const {
    return exchanges_->outstanding() > config_.limits.pending_per_worker_max ||
           budget_->exhausted();
  }
  bool draining() const { return draining_; }
  bool stopping() const { return stopping_; }
  env::MonotonicTime now() { return now_ = clock_.now(); }
  /// As of the last now(): of this turn, or at most a sweep old.
  env::MonotonicTime recent_now() const { return now_; }
  /// "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n".
  std::string_view date_line();
  void new_request_id(std::string& out);
  /// Calls connection.flush() when everything ready has run, to gather answers.
  void flush_later(Connection& connection);
  /// The connection has ended: destroys it, not before the present call stack is gone.
  void retire(Connection& connection);

 private:
  void arm_sweep();
  void sweep();
  void empty_graveyard();
  void report_if_stopped();

  const Config config_;
  env::Executor& executor_;
  env::Clock& clock_;
  Handler& handler_;
  AccessStats& stats_;
  const std::shared_ptr<MemoryBudget> budget_;
  std::unique_ptr<ExchangePool, ExchangePool::Leave> exchanges_{new ExchangePool()};

  std::vector<std::unique_ptr<Connection>> connections_;  ///< Each knows its place.
  std::vector<std::unique_ptr<Connection>> closing_;
  std::vector<Connection*> to_flush_;  ///< Null: has died.
  bool flush_scheduled_ = false;
  bool burial_scheduled_ = false;
  bool sweeping_ = false;

  env::MonotonicTime now_;
  env::TimerId sweep_timer_ = 0;
  env::TimerId grace_timer_ = 0;
  int64_t date_second_ = -1;
  std::string date_line_;
  uint64_t next_request_ = 1;
  bool draining_ = false;
  bool stopping_ = false;
  Task stopped_;
};

}  // namespace multiraft::http
