#pragma once
// At boot a node may be faster than what it listens on: its name is not known yet, its address not
// on an interface yet, or the process before it still holds the port.

#include <functional>
#include <vector>

#include "env/env.h"
#include "multiraft/status.h"

namespace multiraft::server {

struct AddressWait {
  int64_t limit_ns = 10 * env::kSecond;
  int64_t retry_ns = 200 * env::kMillisecond;
  /// Sleeps. True: the wait is to end, since the process was asked to stop.
  std::function<bool(int64_t ns)> pause;
  /// Called once, with the first reason.
  std::function<void(const Status&)> on_waiting;
};

/// Tries to listen on each address until all can be had. kUnavailable with the last reason when
/// they cannot for the whole limit: starting again later may help; kCancelled when `pause` said so;
/// what no waiting helps against (no permission) at once.
Status wait_for_addresses(env::Environment& env, const std::vector<env::Address>& addresses,
                          const AddressWait& wait);

}  // namespace multiraft::server
