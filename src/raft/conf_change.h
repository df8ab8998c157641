#pragma once
// A proposed change of the membership (thesis chapter 4) and its encoding as an entry's payload.

#include <cstdint>
#include <string_view>
#include <vector>

#include "multiraft/bytes.h"
#include "multiraft/status.h"
#include "raft/types.h"

namespace multiraft::raft {

enum class ConfChangeOp : uint8_t { kAddVoter = 0, kRemove = 1, kUpdate = 2, kAddLearner = 3 };

enum class ConfChangeTransition : uint8_t {
  kAuto = 0,           ///< Joint only where more than one voter changes, then left by itself.
  kJointImplicit = 1,  ///< Joint, left by itself.
  kJointExplicit = 2,  ///< Joint until a change without operations leaves it.
};

struct ConfChangeSingle {
  ConfChangeOp op = ConfChangeOp::kAddVoter;
  ReplicaId replica;
  friend bool operator==(const ConfChangeSingle&, const ConfChangeSingle&) = default;
};

struct ConfChange {
  ConfChangeTransition transition = ConfChangeTransition::kAuto;
  /// Encodes as EntryType::kConfChange: exactly one operation and no transition.
  bool v1 = false;
  std::vector<ConfChangeSingle> changes;
  SharedBytes context;  ///< The proposer's own, not interpreted.
  friend bool operator==(const ConfChange&, const ConfChange&) = default;
};

/// The payload; empty for a V2 change that is empty altogether.
SharedBytes encode_conf_change(const ConfChange& change);
/// From an entry of type kConfChange or kConfChangeV2. kCorruption where it is malformed.
Result<ConfChange> decode_conf_change(EntryType type, std::string_view data);
/// The configuration that follows `state` when `change` is applied; the same algebra as the core's.
/// kConflict with the reason where it is not allowed.
Result<ConfState> next_conf_state(const ConfState& state, const ConfChange& change);

}  // namespace multiraft::raft
