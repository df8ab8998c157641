#pragma once
// The switch of a build for mutation testing: which rule is broken in this process.
//
// Only the copies of sources that scripts/mutate writes include this header.

#include <cstdlib>
#include <string_view>

namespace multiraft {

/// Whether the environment variable MULTIRAFT_MUTANT names this mutant. It is read once.
inline bool is_chosen_mutant(std::string_view name) {
  static const char* const chosen = std::getenv("MULTIRAFT_MUTANT");
  return chosen != nullptr && name == chosen;
}

}  // namespace multiraft
