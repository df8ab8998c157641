#pragma once
// Making a connection: resolve, try each address, give up in time.

#include <memory>

#include "env/network.h"
#include "env/posix/executor_core.h"

namespace multiraft::env {

/// On the core's thread. `resolver` is where names are looked up, since that may block for long.
void connect_stream(const std::shared_ptr<ExecutorCore>& core, Executor& resolver,
                    const Address& address, int64_t timeout_ns,
                    Callback<void(Result<std::unique_ptr<Stream>>)> done);

}  // namespace multiraft::env
