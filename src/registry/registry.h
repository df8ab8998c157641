#pragma once
// The registry's state and what each command does to it. Deterministic; no I/O.

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "multiraft/types.h"
#include "registry/command.h"
#include "registry/view.h"

namespace multiraft::registry {

/// The survivor's replica of the group 0 that is made again from this state. It and all later ones
/// have serials that the former group 0 can never have given out.
ReplicaId restored_replica(const RegistryView& state, NodeId survivor);

/// Belongs to one thread; hands out immutable views of itself.
class Registry {
 public:
  Registry() = default;
  explicit Registry(RegistryView state);

  /// Carries out one command, whole or not at all. `index` is its place in group 0's log.
  RegistryOutcome apply(const RegistryCommand& command, LogIndex index);

  const RegistryView& state() const { return *view_; }
  /// The present state, to be shared with any thread. Later commands leave it alone.
  std::shared_ptr<const RegistryView> share() {
    shared_ = true;
    return view_;
  }

 private:
  RegistryOutcome run(const Bootstrap& command);
  RegistryOutcome run(const RegisterNode& command);
  RegistryOutcome run(const CreateGroup& command);
  RegistryOutcome run(const AddMember& command);
  RegistryOutcome run(const RemoveMember& command);
  RegistryOutcome run(const ReplicaRemoved& command);
  RegistryOutcome run(const SetRole& command);
  RegistryOutcome run(const UpdateNode& command);
  RegistryOutcome run(const MarkNodeLeaving& command);
  RegistryOutcome run(const SetRegistryVoters& command);
  RegistryOutcome run(const MemberSettled& command);
  RegistryOutcome run(const RaiseClusterVersion& command);
  RegistryOutcome run(const RestoreRegistry& command);

  std::string too_old_or_new(NodeId node, const VersionRange& versions) const;
  RegistryOutcome register_again(const NodeRecord& node, const RegisterNode& command);
  RegistryOutcome judge_replacement(NodeId node) const;
  void replace_replicas(NodeId node);
  void finish_departure(NodeId node);
  ReplicaId take_serial(NodeId node);
  bool serials_left(size_t count) const;

  /// The state as something to change; a copy if it was handed out.
  RegistryView& edit();

  std::shared_ptr<RegistryView> view_ = std::make_shared<RegistryView>();
  /// Not the use count: that may be down to one while another thread's last read is not yet
  /// visible.
  bool shared_ = false;
};

}  // namespace multiraft::registry
