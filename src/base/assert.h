#pragma once
// Assertions that stay on in release: a broken invariant ends the process before it can spread to
// the disk or to other nodes. Never used on bytes from disk, network or users: those are errors.

namespace multiraft {
[[noreturn]] void assert_failed(const char* condition, const char* message, const char* file,
                                int line);
}  // namespace multiraft

#define MR_ASSERT(cond) MR_ASSERT_MSG(cond, "")
#define MR_ASSERT_MSG(cond, message)                                  \
  do {                                                                \
    if (!(cond)) [[unlikely]]                                         \
      ::multiraft::assert_failed(#cond, message, __FILE__, __LINE__); \
  } while (false)
#define MR_UNREACHABLE(message) \
  ::multiraft::assert_failed("unreachable", message, __FILE__, __LINE__)
