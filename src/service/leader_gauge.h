#pragma once
// Whether the groups of a node have leaders, for its readiness.

#include <cstdint>
#include <string>

namespace multiraft::service {

/// Whether this node can serve anything, judged by which of its groups know a leader, and whether
/// it has most of its groups at all: a node that was given an empty disk serves nothing at first.
/// An election lasts a moment and is no reason to send clients elsewhere: what lacks a leader at
/// two looks in a row counts.
class LeaderGauge {
 public:
  /// Those hosted here, without group 0.
  struct UserGroups {
    uint64_t all = 0;
    uint64_t leaderless = 0;
    uint64_t unfilled = 0;  ///< Wait for their first snapshot.
  };
  void update(bool registry_has_leader, const UserGroups& groups);
  struct Verdict {
    bool ok = true;
    std::string detail;  ///< Also where it is ok, if some groups lack a leader.
  };
  Verdict registry() const;
  Verdict groups() const;

 private:
  uint32_t looks_without_registry_ = 0;
  uint32_t looks_without_groups_ = 0;
  UserGroups user_groups_;
};

}  // namespace multiraft::service
