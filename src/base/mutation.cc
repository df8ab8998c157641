#include "base/mutation.h"

#ifdef MULTIRAFT_MUTATION

#include <cstdlib>
#include <string_view>

namespace multiraft {

bool is_chosen_mutant(const char* name) {
  static const char* const chosen = std::getenv("MULTIRAFT_MUTANT");
  return chosen != nullptr && std::string_view(chosen) == name;
}

}  // namespace multiraft

#endif
