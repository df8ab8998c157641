#include "registry/machine.h"

#include <string>
#include <utility>

#include "base/assert.h"
#include "base/coverage.h"
#include "registry/codec.h"

namespace multiraft::registry {

class RegistryStateMachine::Reader final : public SnapshotReader {
 public:
  Reader(std::shared_ptr<const RegistryView> view, LogIndex index, Term term)
      : writer_(std::move(view)), index_(index), term_(term) {}

  LogIndex applied_index() const override { return index_; }
  Term applied_term() const override { return term_; }
  Status next(size_t bytes_target, std::string& chunk) override {
    writer_.next(bytes_target, chunk);
    return Status::ok();
  }

 private:
  RegistryWriter writer_;
  LogIndex index_;
  Term term_;
};

class RegistryStateMachine::Writer final : public SnapshotWriter {
 public:
  Writer(RegistryStateMachine& machine, LogIndex index, Term term)
      : machine_(machine), index_(index), term_(term) {}

  Status append(std::string_view chunk) override {
    bytes_.append(chunk);
    return Status::ok();
  }
  Status finish() override {
    Result<RegistryView> state = RegistryReader::read(bytes_);
    if (!state) return state.status();
    machine_.registry_ = Registry(std::move(*state));
    machine_.applied_index_ = index_;
    machine_.applied_term_ = term_;
    machine_.unpublished_ = true;
    machine_.publish();
    return Status::ok();
  }

 private:
  RegistryStateMachine& machine_;
  LogIndex index_;
  Term term_;
  std::string bytes_;
};

RegistryStateMachine::RegistryStateMachine(RegistryEngine& engine) : engine_(engine) {
  MR_ASSERT_MSG(engine_.open_ == nullptr, "the registry is opened twice");
  engine_.open_ = this;
}

RegistryStateMachine::~RegistryStateMachine() { engine_.open_ = nullptr; }

Status RegistryStateMachine::check(std::string_view command) const {
  Status decoded = decode_command(command).status();
  return decoded.code() == StatusCode::kUnsupported ? decoded : Status::ok();
}

Status RegistryStateMachine::apply(std::span<const Command> commands, LogIndex last_index,
                                   Term last_term, std::span<ApplyResult> results) {
  MR_ASSERT(commands.size() == results.size());
  for (size_t i = 0; i < commands.size(); ++i) {
    Result<RegistryCommand> command = decode_command(commands[i].data);
    if (!command) {
      // Replicated bytes: every replica refuses them alike.
      MR_ASSERT_MSG(command.status().code() != StatusCode::kUnsupported, "applied without check()");
      MR_COVERAGE("meta: malformed command in the log");
      RegistryOutcome refused;
      refused.code = RegistryCode::kInvalid;
      refused.text = command.status().message();
      results[i] = encode_outcome(refused);
      continue;
    }
    const RegistryOutcome outcome = registry_.apply(*command, commands[i].index);
    unpublished_ |= outcome.changed;
    results[i] = encode_outcome(outcome);
  }
  applied_index_ = last_index;
  applied_term_ = last_term;
  return Status::ok();
}

void RegistryStateMachine::publish() {
  if (!std::exchange(unpublished_, false)) return;
  engine_.board_.publish(registry_.share());
}

Result<std::unique_ptr<SnapshotReader>> RegistryStateMachine::snapshot() {
  return std::unique_ptr<SnapshotReader>(
      std::make_unique<Reader>(registry_.share(), applied_index_, applied_term_));
}

Result<std::unique_ptr<SnapshotWriter>> RegistryStateMachine::restore(LogIndex index, Term term) {
  return std::unique_ptr<SnapshotWriter>(std::make_unique<Writer>(*this, index, term));
}

Result<uint64_t> RegistryStateMachine::hash() { return hash_of(registry_.share()); }

Result<std::unique_ptr<StateMachine>> RegistryEngine::open(GroupId group) {
  if (group != kRegistryGroup) {
    return Status(StatusCode::kInvalidArgument, "the registry is the state of group 0 only");
  }
  return std::unique_ptr<StateMachine>(std::make_unique<RegistryStateMachine>(*this));
}

Status RegistryEngine::destroy(std::span<const GroupId>) {
  MR_ASSERT_MSG(open_ == nullptr, "the registry is destroyed while it is open");
  board_.publish(std::make_shared<const RegistryView>());
  return Status::ok();
}

Status RegistryEngine::commit(uint32_t) {
  if (open_) open_->publish();
  return Status::ok();
}

}  // namespace multiraft::registry
