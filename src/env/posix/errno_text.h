#pragma once
// What errno means, in words and as a StatusCode.

#include <string>

#include "multiraft/status.h"

namespace multiraft::env {

/// "No such file or directory"; thread-safe.
std::string errno_text(int error);

/// kNotFound, kAlreadyExists, kNoSpace (ENOSPC, EDQUOT), kOverloaded where the process or the
/// system has run out of something that comes back (descriptors, memory) or the call was
/// interrupted: that says nothing about the disk. Otherwise kIoError.
StatusCode errno_code(int error);

/// A failed system call. `SystemError{errno, ...}`: the braces make sure that errno is read before
/// `what` is built, which allocates and may change it.
struct SystemError {
  int error;
  std::string what;

  /// "WHAT: errno in words", with errno_code().
  Status status() const { return {errno_code(error), what + ": " + errno_text(error)}; }
};

}  // namespace multiraft::env
