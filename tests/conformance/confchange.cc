// Files of the algebra of configurations.

#include "family.h"
#include "raft/conf_algebra.h"
#include "raft/log_line.h"
#include "raft/progress.h"
#include "text.h"

namespace multiraft::conformance {
namespace {

using namespace multiraft::raft;  // The module under test.

class ConfChangeFamily final : public Family {
 public:
  ConfChangeFamily() { config_.inflight_messages_max = 10; }

  std::string run(const Directive& directive) override {
    std::string shown = apply(directive);
    ++last_index_;  // After every directive, also one that fails.
    return shown;
  }

 private:
  std::string apply(const Directive& directive) {
    std::vector<ConfChangeSingle> ops;
    std::string error;
    if (!parse_conf_ops(directive.input, ops, error)) return error;
    if (directive.command == "simple") return adopt(apply_simple(conf_, ops));
    if (directive.command == "enter-joint") {
      return adopt(enter_joint(conf_, directive.flag("autoleave"), ops));
    }
    if (directive.command == "leave-joint") {
      if (!ops.empty()) return "this command takes no input";
      return adopt(leave_joint(conf_));
    }
    return "unknown command";
  }

  std::string adopt(const Result<ConfOutcome>& outcome) {
    if (!outcome.is_ok()) return outcome.status().message();
    if (const Status valid = check_conf_state(outcome->conf); !valid.is_ok()) {
      return valid.message();
    }
    conf_ = outcome->conf;
    follow(progress_, *outcome, last_index_, config_);
    std::string shown = describe(conf_) + "\n";
    for (const Progress& progress : progress_) {
      shown += to_string(progress.id) + ": " + progress_text(describe(progress)) + "\n";
    }
    return shown;
  }

  Config config_;
  ConfState conf_;
  ProgressList progress_;
  LogIndex last_index_;
};

}  // namespace

std::unique_ptr<Family> make_confchange() { return std::make_unique<ConfChangeFamily>(); }

}  // namespace multiraft::conformance
