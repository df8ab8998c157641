#pragma once
// The Linux implementation of env.h: Asio on epoll, pread/pwrite/fdatasync, CLOCK_MONOTONIC.

#include <memory>

#include "env/env.h"

namespace multiraft::env {

std::unique_ptr<Environment> make_posix_environment();

}  // namespace multiraft::env
