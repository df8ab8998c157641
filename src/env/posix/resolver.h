#pragma once
// Looks up host names without making anybody wait for a name server that does not answer.

#include <functional>
#include <memory>

#include "base/task.h"
#include "env/network.h"
#include "env/posix/socket_address.h"

namespace multiraft::env {

/// The system's resolver may block for many seconds, and cannot be interrupted. So each name is
/// looked up on a thread that nobody ever waits for, not even at the end of the process; what was
/// found is kept, and is used at once the next time while the name is looked up again.
///
/// Thread-safe. May be destroyed while look-ups run: their callbacks are dropped.
class Resolver {
 public:
  using Answer = Result<std::vector<SocketAddress>>;
  using LookUp = std::function<Answer(const Address&)>;

  explicit Resolver(LookUp look_up = resolve);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// `found` is called once: from within where the name was found before, or else on a thread of
  /// the resolver when the look-up ends, however long that takes.
  void find(const Address& address, Callback<void(Answer)> found);

 private:
  struct State;

  const std::shared_ptr<State> state_;
};

}  // namespace multiraft::env
