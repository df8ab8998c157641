#pragma once
// One client's connection: reads requests, hands them on, writes the answers in order.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "env/network.h"
#include "http/body_buffer.h"
#include "http/chunks.h"
#include "http/exchange.h"
#include "http/message.h"
#include "multiraft/bytes.h"

namespace multiraft::http {

class Worker;

/// One of the places that Limits::connections_max counts.
class ConnectionSlot {
 public:
  explicit ConnectionSlot(std::atomic<size_t>& open) : open_(&open) {
    open.fetch_add(1, std::memory_order_relaxed);
  }
  ConnectionSlot(ConnectionSlot&& other) noexcept : open_(std::exchange(other.open_, nullptr)) {}
  ConnectionSlot& operator=(ConnectionSlot&&) = delete;
  ~ConnectionSlot() {
    if (open_ != nullptr) open_->fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  std::atomic<size_t>* open_;
};

/// Bytes that have been read and not been used, in one array that grows up to a limit.
class ReadBuffer {
 public:
  std::string_view view() const { return {data_.get() + begin_, end_ - begin_}; }
  size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  size_t capacity() const { return capacity_; }
  std::span<char> room() { return {data_.get() + end_, capacity_ - end_}; }
  void commit(size_t bytes) { end_ += bytes; }
  void consume(size_t bytes) { begin_ += bytes; }
  /// Removes `bytes` behind the first `kept`.
  void consume_after(size_t kept, size_t bytes);
  /// Moves what there is to the front of an array of `capacity`, or of what there is if that is
  /// more. Views end.
  void reserve(size_t capacity);

 private:
  std::unique_ptr<char[]> data_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
};

/// Belongs to an Worker. Its life:
///
///   bytes -> [kHead] -> [kBody | kChunks] -> [kComplete] -> Exchange -> handler
///               ^                                 |            |
///               +---------------------------------+        finish()
///                                                              |
///   one write of all answers that are ready, in order  <- queue of exchanges
///
/// A request that may change something waits in kComplete until all before it are answered, and
/// those behind it wait for its answer.
class Connection {
 public:
  Connection(Worker& worker, std::unique_ptr<env::Stream> stream, ConnectionSlot slot,
             bool probes_only);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  void exchange_finished(Exchange& exchange);
  /// Writes what is ready.
  void flush();
  /// Looks at the timeouts.
  void sweep(env::MonotonicTime now);
  /// Closes if nothing is in flight; else after the answers.
  void stop();
  /// Closes now.
  void abort() { die(); }
  std::string local_address() const { return stream_->local_address(); }
  bool is_server_overloaded() const;
  const std::shared_ptr<MemoryBudget>& budget() const;

  // The worker's.
  size_t place = 0;  ///< In its list.
  bool flush_is_scheduled = false;

 private:
  enum class State : uint8_t { kHead, kBody, kChunks, kComplete, kDiscard, kDead };
  /// A piece of the batch being written: of `text`, or a value.
  struct Part {
    size_t offset = 0;
    size_t size = 0;
    SharedBytes value;
    std::shared_ptr<const MemoryCharge> charge;
  };
  struct Batch {
    std::string text;
    std::vector<Part> parts;
    size_t bytes = 0;
  };

  // Reading (http_connection.cc).
  void read_more();
  std::span<char> read_target();
  void on_read(const Result<size_t>& result);
  void on_end_of_input();
  void advance();
  bool step();
  bool need_more(bool within_request);
  bool step_head();
  bool head_incomplete();
  bool refuse_large_head(bool target);
  bool begin_body();
  bool step_body();
  bool begin_chunks();
  bool step_chunks();
  bool may_dispatch() const;
  bool may_take_another() const;
  void dispatch();
  void refuse(ProtocolError error, std::string_view detail);
  void refuse_connection();
  void send_continue();
  ExchangePtr enqueue(bool safe);
  void describe(Exchange& exchange) const;

  // Writing (http_output.cc).
  void gather();
  void render(Exchange& exchange, bool last);
  void render_head(const Exchange& exchange, bool last);
  void append_text(std::string_view text);
  void append_value(Response& response);
  void write_batch();
  void on_written(const Status& status);
  void pop_front();
  void finish_if_spent();
  void begin_discard();
  void die();

  Worker& worker_;
  const std::unique_ptr<env::Stream> stream_;
  const ConnectionSlot slot_;
  const bool probes_only_;  ///< Over the limit of connections: anything else is refused.
  State state_ = State::kHead;

  // The request being read. From kBody on its head stays at the front of in_.
  ReadBuffer in_;
  RequestHead head_;
  size_t head_bytes_ = 0;
  size_t searched_ = 0;    ///< For find_head_end().
  size_t body_bytes_ = 0;  ///< As announced.
  size_t body_bytes_max_ = 0;
  bool body_is_inline_ = false;  ///< All of it is in in_, behind the head.
  BodyBuffer body_;
  ChunkDecoder chunks_;
  size_t last_read_bytes_ = 0;
  bool reading_ = false;
  bool advancing_ = false;
  bool input_closed_ = false;  ///< No further request is taken.
  bool end_of_input_ = false;  ///< The client has closed its side.
  bool linger_ = false;        ///< It may still be sending when we close.

  // Requests and their answers, oldest first.
  Exchange* first_ = nullptr;
  Exchange* last_ = nullptr;
  size_t queued_ = 0;
  size_t in_flight_ = 0;  ///< Not finished.
  bool unsafe_in_flight_ = false;
  size_t unsent_bytes_ = 0;  ///< Of answers that are finished and not written.
  /// What a further answer may have, judged by those before. As long as there was none, by half of
  /// what may be unsent: a client that asks for many large values at once has two of them read.
  size_t expected_answer_bytes_;

  // Being written.
  Batch batch_;
  std::vector<std::string_view> parts_;
  bool writing_ = false;

  // Timeouts.
  env::MonotonicTime since_;  ///< Idle, reading this head, or in this window of a body.
  bool head_began_ = false;   ///< Some of the next head has arrived.
  size_t window_bytes_ = 0;   ///< Of the body when the window began.
  env::MonotonicTime write_deadline_;
};

}  // namespace multiraft::http
