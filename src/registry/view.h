#pragma once
// An immutable state of the registry, shared with any thread. A new one shares everything with its
// predecessor but the few records that changed, so that ten thousand groups cost nothing per
// change.

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "multiraft/types.h"
#include "registry/types.h"

namespace multiraft::registry {

/// Pointers into a view are valid as long as the view is.
class RegistryView {
 public:
  RegistryView();

  ClusterId cluster() const { return cluster_; }
  /// Nothing was registered yet.
  bool empty() const { return cluster_ == ClusterId{}; }
  /// Serials below were given out; this one is next.
  uint32_t next_serial() const { return next_serial_; }
  /// The version that the cluster works with; 0 while it is empty. It never falls, and every
  /// registered node's program supports it.
  uint32_t cluster_version() const { return cluster_version_; }
  /// Grows with every command that changes something: its index in group 0's log, and behind the
  /// last version of a former group 0.
  LogIndex version() const { return version_; }

  /// How often group 0 was made again after its majority was lost.
  size_t restorations() const { return lost_serials_.size(); }
  /// The replica belonged to a group 0 before the last restoration.
  bool precedes_restoration(ReplicaId replica) const {
    return !lost_serials_.empty() && replica.serial() <= lost_serials_.back().last;
  }

  const std::vector<NodeRecord>& nodes() const { return *nodes_; }  ///< Ids ascend.
  const NodeRecord* node(NodeId id) const;
  const GroupRecord* group(GroupId id) const;
  size_t group_count() const { return group_count_; }
  /// All groups with group 0, ids ascending.
  std::vector<const GroupRecord*> groups() const;
  /// The first `limit` of them from `from` on. Costs as much as it returns.
  std::vector<const GroupRecord*> groups_from(GroupId from, size_t limit) const;
  /// In how many user groups the node has a replica, leaving ones included.
  size_t group_count_of(NodeId node) const;
  /// Those groups, ids ascending. Looks at all groups.
  std::vector<GroupId> groups_of(NodeId node) const;

  /// True once and for all: the replica existed, or was meant to, and left its group. Sound on an
  /// old view, because a replica is listed by the same command that gives out its serial.
  bool is_removed(GroupId group, ReplicaId replica) const;

  /// Calls visit(const GroupRecord&) for every group, in no particular but a fixed order.
  template <class Visit>
  void for_each_group(Visit&& visit) const {
    for (const auto& bucket : buckets_) {
      for (const auto& group : *bucket) visit(*group);
    }
  }
  /// Calls visit(GroupId) for groups that differ between the two, added and removed ones included.
  /// Costs as much as differs.
  template <class Visit>
  static void for_each_change(const RegistryView& before, const RegistryView& after, Visit&& visit);

 private:
  friend class Registry;
  friend class RegistryReader;
  friend class RegistryWriter;

  static constexpr size_t kBuckets = 256;
  using Bucket = std::vector<std::shared_ptr<const GroupRecord>>;  ///< Ids ascend.

  static size_t bucket_of(GroupId id) { return id.value % kBuckets; }
  void put_node(NodeRecord node);
  void erase_node(NodeId id);
  void put_group(GroupRecord group);
  void count_groups(const GroupRecord* before, const GroupRecord& after);

  ClusterId cluster_;
  struct SerialRange {
    uint32_t first = 0;
    uint32_t last = 0;
  };

  uint32_t cluster_version_ = 0;
  /// Given out by a group 0 that was lost, or by nobody: nothing is known of such replicas.
  std::vector<SerialRange> lost_serials_;
  uint64_t version_base_ = 0;  ///< Version of the registry from which this one was restored.
  uint32_t next_serial_ = 1;
  LogIndex version_;
  std::shared_ptr<const std::vector<NodeRecord>> nodes_;
  std::array<std::shared_ptr<const Bucket>, kBuckets> buckets_;
  size_t group_count_ = 0;
  using Counts = std::vector<std::pair<NodeId, size_t>>;  ///< Ids ascend; without zeros.
  std::shared_ptr<const Counts> group_counts_;
};

template <class Visit>
void RegistryView::for_each_change(const RegistryView& before, const RegistryView& after,
                                   Visit&& visit) {
  for (size_t i = 0; i < kBuckets; ++i) {
    if (before.buckets_[i] == after.buckets_[i]) continue;
    auto old_group = before.buckets_[i]->begin();
    auto new_group = after.buckets_[i]->begin();
    const auto old_end = before.buckets_[i]->end();
    const auto new_end = after.buckets_[i]->end();
    while (old_group != old_end || new_group != new_end) {
      if (new_group == new_end || (old_group != old_end && (*old_group)->id < (*new_group)->id)) {
        visit((*old_group++)->id);
      } else if (old_group == old_end || (*new_group)->id < (*old_group)->id) {
        visit((*new_group++)->id);
      } else {
        if (*old_group != *new_group) visit((*new_group)->id);
        ++old_group;
        ++new_group;
      }
    }
  }
}

}  // namespace multiraft::registry
