#pragma once
// Streams of bytes between processes (TCP in the posix implementation).

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/task.h"
#include "env/executor.h"
#include "multiraft/status.h"

namespace multiraft::env {

/// HOST:PORT or :PORT (all interfaces to listen on, localhost to connect to). IPv6 in brackets.
/// Names are resolved when used.
struct Address {
  std::string host;  ///< Empty for ":PORT".
  uint16_t port = 0;

  /// kInvalidArgument with what is wrong, in words for the command line.
  static Result<Address> parse(std::string_view text);
  std::string to_string() const;
  friend bool operator==(const Address&, const Address&) = default;
};

/// A connected byte stream. Belongs to one executor; every call is made on its thread and every
/// callback arrives there, never from within the call. At most one read and one write under way.
/// Destroying or closing it cancels both: their callbacks are dropped, not called.
class Stream {
 public:
  virtual ~Stream() = default;

  /// Reads at least one byte into `buffer`, which stays valid until then. 0 bytes = the other side
  /// closed. Error: the stream is dead.
  virtual void read_some(std::span<char> buffer, Callback<void(Result<size_t>)> done) = 0;
  /// Writes all of the parts, in order, in as few system calls as it can; they stay valid until
  /// done. Error: the stream is dead and any prefix may have been sent. Tries at once, without a
  /// round through the poller.
  virtual void write(std::span<const std::string_view> parts, Callback<void(Status)> done) = 0;
  /// Sends what was written and then end-of-stream, as a server that closes after its answer.
  virtual void shutdown_write() = 0;
  virtual void close() = 0;

  virtual std::string local_address() const = 0;
  virtual std::string remote_address() const = 0;
  /// Moves the stream to another executor. Only when no read or write is under way. This object is
  /// spent afterwards; `ready` gets its successor on the other executor's thread.
  virtual void move_to(Executor& other, Callback<void(std::unique_ptr<Stream>)> ready) = 0;
};

/// Accepts connections until destroyed or closed, on its executor's thread.
class Listener {
 public:
  virtual ~Listener() = default;
  /// The port really bound (for port 0).
  virtual uint16_t port() const = 0;
  virtual void close() = 0;
};

class Network {
 public:
  virtual ~Network() = default;

  /// Binds and listens at once; the error names the address and the reason (in use, no permission).
  /// `on_accept` runs for every connection. Running out of descriptors pauses and goes on.
  virtual Result<std::unique_ptr<Listener>> listen(
      Executor& executor, const Address& address,
      Callback<void(std::unique_ptr<Stream>)> on_accept) = 0;
  /// From the executor's thread. Resolves and connects within `timeout_ns`.
  virtual void connect(Executor& executor, const Address& address, int64_t timeout_ns,
                       Callback<void(Result<std::unique_ptr<Stream>>)> done) = 0;
};

}  // namespace multiraft::env
