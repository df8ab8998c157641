#pragma once
// Making a connection: resolve, try each address, give up in time.

#include <memory>

#include "env/network.h"
#include "env/posix/executor_core.h"
#include "env/posix/resolver.h"

namespace multiraft::env {

/// On the core's thread. `timeout_ns` is for the connection; a name that was never found before is
/// waited for longer.
void connect_stream(const std::shared_ptr<ExecutorCore>& core, Resolver& resolver,
                    const Address& address, int64_t timeout_ns,
                    Callback<void(Result<std::unique_ptr<Stream>>)> done);

}  // namespace multiraft::env
