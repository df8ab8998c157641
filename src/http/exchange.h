#pragma once
// One request and its answer, from the complete request until the answer is written.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/memory_budget.h"
#include "env/clock.h"
#include "http/message.h"

namespace multiraft::http {

class Connection;
class ExchangePool;

/// A text of an exchange that has grown longer gives its memory back before the exchange is reused.
inline constexpr size_t kReusedTextBytesMax = 1024;

/// What a handler keeps about a request until it is answered. It is reused together with its
/// exchange, so that a request costs no allocation for it.
class HandlerState {
 public:
  virtual ~HandlerState() = default;
  /// Forgets the request.
  virtual void clear() = 0;
};

/// What a handler answers through, on its worker's thread. It outlives its connection while
/// somebody holds an ExchangePtr; is_abandoned() then.
class Exchange {
 public:
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Copied from the request, because the answer may need it after handle().
  Method method = Method::kOther;
  std::string target;
  std::string host;
  std::string request_id;  ///< The client's if it is sane, else generated. In every answer.
  // Set by the handler.
  size_t route = 0;  ///< What the request is counted as (AccessStats).
  std::unique_ptr<HandlerState> state;

  Response response;

  /// Sends the response, once. Nothing changes it afterwards.
  void finish();
  /// The client is gone: nobody will see the response, and the server may be gone too.
  bool is_abandoned() const { return connection_ == nullptr; }
  /// "127.0.0.1:9090": where the client reached us. Not when abandoned.
  std::string local_address() const;
  /// Too many requests wait on this worker, or too many bytes are held. Not when abandoned.
  bool is_server_overloaded() const;
  /// Charges what the request makes others hold until it is answered, such as a command that waits
  /// for its group. False where there is too much already. Not when abandoned.
  [[nodiscard]] bool hold(size_t bytes);

 private:
  friend class Connection;
  friend class ExchangePool;
  friend class ExchangePtr;
  Exchange() = default;

  Connection* connection_ = nullptr;
  ExchangePool* pool_ = nullptr;
  Exchange* next_ = nullptr;  ///< The connection's next newer one.
  uint32_t references_ = 0;
  bool finished_ = false;
  bool safe_ = true;
  bool interim_ = false;  ///< "100 Continue": not an answer.
  bool http11_ = true;
  env::MonotonicTime started_;
  std::shared_ptr<const MemoryCharge> held_;
};

/// A reference, not shared among threads. One pointer, so that it fits into a Callback.
class ExchangePtr {
 public:
  ExchangePtr() = default;
  ExchangePtr(ExchangePtr&& other) noexcept : exchange_(std::exchange(other.exchange_, nullptr)) {}
  ExchangePtr& operator=(ExchangePtr&& other) noexcept {
    std::swap(exchange_, other.exchange_);
    return *this;
  }
  ~ExchangePtr() { reset(); }

  Exchange* operator->() const { return exchange_; }
  Exchange& operator*() const { return *exchange_; }
  explicit operator bool() const { return exchange_ != nullptr; }
  void reset();

 private:
  friend class Connection;
  friend class ExchangePool;
  explicit ExchangePtr(Exchange* exchange) : exchange_(exchange) { ++exchange->references_; }
  Exchange* exchange_ = nullptr;
};

/// Makes exchanges and keeps spent ones for reuse. It stays until its owner has left and the last
/// exchange has come back: a backend may answer after the server has stopped.
class ExchangePool {
 public:
  struct Leave {
    void operator()(ExchangePool* pool) const { pool->leave(); }
  };

  ExchangePtr take();
  /// Taken and not yet returned.
  size_t outstanding() const { return outstanding_; }

 private:
  friend class ExchangePtr;
  void give_back(Exchange* exchange);
  void leave();
  ~ExchangePool();

  std::vector<Exchange*> spare_;
  size_t outstanding_ = 0;
  bool left_ = false;
};

}  // namespace multiraft::http
