#pragma once
// The registry as the state machine of group 0, and where other threads read it.

#include <memory>
#include <span>

#include "base/mutex.h"
#include "multiraft/state_machine.h"
#include "registry/registry.h"
#include "registry/view.h"

namespace multiraft::registry {

/// The latest published view. Any thread.
class RegistryPublisher {
 public:
  std::shared_ptr<const RegistryView> view() const {
    MutexLock lock(mutex_);
    return view_;
  }
  void publish(std::shared_ptr<const RegistryView> view) {
    MutexLock lock(mutex_);
    view_.swap(view);
  }

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const RegistryView> view_ MR_GUARDED_BY(mutex_) =
      std::make_shared<const RegistryView>();
};

class RegistryEngine;

/// In memory: a restart restores the last snapshot that the host saved and replays the log.
class RegistryStateMachine final : public StateMachine {
 public:
  /// The only one at a time of `engine`, which outlives it.
  explicit RegistryStateMachine(RegistryEngine& engine);
  ~RegistryStateMachine() override;

  Status check(std::string_view command) const override;
  Status apply(std::span<const Command> commands, LogIndex last_index, Term last_term,
               std::span<ApplyResult> results) override;
  LogIndex applied_index() const override { return applied_index_; }
  Term applied_term() const override { return applied_term_; }
  LogIndex durable_index() const override { return {}; }
  bool in_memory() const override { return true; }
  Result<std::unique_ptr<SnapshotReader>> snapshot() override;
  Result<std::unique_ptr<SnapshotWriter>> restore(LogIndex index, Term term) override;
  Result<uint64_t> hash() override;

  /// Makes what was applied visible to other threads.
  void publish();
  const RegistryView& state() const { return registry_.state(); }

 private:
  class Reader;
  class Writer;

  RegistryEngine& engine_;
  Registry registry_;
  LogIndex applied_index_;
  Term applied_term_;
  bool unpublished_ = false;
};

/// Holds the one registry of a node. Every call is for group 0, from its worker, or while it is not
/// open from any thread; board() is for everyone.
class RegistryEngine final : public StateMachineEngine {
 public:
  Result<std::unique_ptr<StateMachine>> open(GroupId group) override;
  Status destroy(std::span<const GroupId> groups) override;
  Status commit(uint32_t worker) override;
  void request_flush() override {}

  const RegistryPublisher& board() const { return board_; }
  std::shared_ptr<const RegistryView> view() const { return board_.view(); }

 private:
  friend class RegistryStateMachine;

  RegistryPublisher board_;
  RegistryStateMachine* open_ = nullptr;
};

}  // namespace multiraft::registry
