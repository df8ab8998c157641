#include "family.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace multiraft::conformance {

std::unique_ptr<Family> make_family(const Script& script, uint64_t seed) {
  static constexpr std::array<std::string_view, 2> kQuorum = {"committed", "vote"};
  static constexpr std::array<std::string_view, 3> kConfChange = {"simple", "enter-joint",
                                                                  "leave-joint"};
  const auto any_of = [&](const auto& commands) {
    return std::any_of(script.directives.begin(), script.directives.end(), [&](const auto& d) {
      return std::find(commands.begin(), commands.end(), d.command) != commands.end();
    });
  };
  if (any_of(kQuorum)) return make_quorum();
  if (any_of(kConfChange)) return make_confchange();
  if (script.path.find("/quorum/") != std::string::npos) return make_quorum();
  if (script.path.find("/confchange/") != std::string::npos) return make_confchange();
  return make_interaction(seed);
}

bool parse_conf_ops(std::string_view input, std::vector<raft::ConfChangeSingle>& ops,
                    std::string& error) {
  for (const std::string& token : split_words(input)) {
    if (token.size() < 2) {
      error = "unknown token " + token;
      return false;
    }
    raft::ConfChangeSingle op;
    switch (token[0]) {
      case 'v':
        op.op = raft::ConfChangeOp::kAddVoter;
        break;
      case 'l':
        op.op = raft::ConfChangeOp::kAddLearner;
        break;
      case 'r':
        op.op = raft::ConfChangeOp::kRemove;
        break;
      case 'u':
        op.op = raft::ConfChangeOp::kUpdate;
        break;
      default:
        error = "unknown input: " + token;
        return false;
    }
    const auto id = parse_number(std::string_view(token).substr(1));
    if (!id) {
      error = "unknown input: " + token;
      return false;
    }
    op.replica = ReplicaId(*id);
    ops.push_back(op);
  }
  return true;
}

}  // namespace multiraft::conformance
