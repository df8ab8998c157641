#pragma once
// Rules that a build for mutation testing can break, one at a time.
//
// Each rule that matters carries a switch in the source, `MR_MUTANT(name)`, placed so that the rule
// does not hold where the switch is true. In a build with MULTIRAFT_MUTATION=ON it is true for the
// one mutant that the environment variable MULTIRAFT_MUTANT names; `scripts/mutate` sets it and
// asks which layer of tests notices. In any other build it is the constant false and costs nothing.

#ifdef MULTIRAFT_MUTATION

namespace multiraft {

/// Whether the environment names this mutant. Read once, at the first call of the process.
bool is_chosen_mutant(const char* name);

}  // namespace multiraft

#define MR_MUTANT(name)                                                  \
  ([] {                                                                  \
    static const bool mr_chosen_ = ::multiraft::is_chosen_mutant(#name); \
    return mr_chosen_;                                                   \
  }())

#else

#define MR_MUTANT(name) false

#endif
