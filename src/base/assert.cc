#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace multiraft {

void assert_failed(const char* condition, const char* message, const char* file, int line) {
  std::fprintf(stderr, "FATAL %s:%d: assertion failed: %s%s%s\n", file, line, condition,
               *message ? ": " : "", message);
  std::fflush(stderr);
  std::abort();
}

}  // namespace multiraft
