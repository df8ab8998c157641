#pragma once
// The three families of test files. Each keeps one environment per file.

#include <memory>
#include <string>

#include "raft/conf_change.h"
#include "script.h"

namespace multiraft::conformance {

class Family {
 public:
  virtual ~Family() = default;
  /// What the directive shows; not necessarily with a final newline.
  virtual std::string run(const Directive& directive) = 0;
};

std::unique_ptr<Family> make_interaction(uint64_t seed);
std::unique_ptr<Family> make_confchange();
std::unique_ptr<Family> make_quorum();

/// The family that the file's commands, or else its folder's name, belong to.
std::unique_ptr<Family> make_family(const Script& script, uint64_t seed);

/// "v1 l2 r3 u4". On failure `error` says why.
bool parse_conf_ops(std::string_view input, std::vector<raft::ConfChangeSingle>& ops,
                    std::string& error);

}  // namespace multiraft::conformance
