#pragma once
// DirectWriter by io_uring with RWF_DSYNC on files opened with O_DIRECT: one system call for write
// and sync, none to wait, and the executor's poller reports when a write is done.
//
// Up to Linux 6.12 a submission to a file system that is frozen (fsfreeze) blocks the executor
// until it is thawed; later kernels hand it to a thread of their own.

#include <memory>
#include <string>

#include "env/direct_writer.h"
#include "env/posix/executor_core.h"

namespace multiraft::env {

/// As Environment::make_direct_writer().
Result<std::unique_ptr<DirectWriter>> make_uring_writer(const std::shared_ptr<ExecutorCore>& core,
                                                        FileSystem& files,
                                                        const std::string& directory);

}  // namespace multiraft::env
