#pragma once
// Decides whether a history could have come from one copy of the data that does one operation at a
// time: linearizability (Herlihy and Wing 1990). Operations on different keys are independent, so
// each key is searched by itself (locality, same paper, theorem 1).
//
// The search is that of Wing and Gong (1993) with Lowe's cache of visited configurations (2017). It
// is exponential in the worst case, hence the budget. Pure functions; any thread.

#include <cstddef>
#include <cstdint>
#include <string>

#include "linearizability/history.h"

namespace multiraft::linearizability {

enum class Verdict : uint8_t {
  kLinearizable,
  kNotLinearizable,
  kUndecided,  ///< The budget was used up; says nothing either way.
};

struct Options {
  /// Configurations visited per key before giving up; one takes some 50 to 200 bytes.
  size_t configurations_max = 20'000'000;
};

struct CheckResult {
  Verdict verdict = Verdict::kLinearizable;
  std::string key;  ///< The first key that is not kLinearizable, in key order.
  /// For a person: where the search got farthest and which operations nothing explains.
  std::string explanation;
  size_t configurations = 0;  ///< Visited, over all keys.
};

CheckResult check(const History& history, const Options& options = {});

}  // namespace multiraft::linearizability
