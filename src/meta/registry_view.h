#pragma once
// An immutable state of the registry, shared with any thread. A new one shares everything with its
// predecessor but the few records that changed, so that ten thousand groups cost nothing per
// change.

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.h"
#include "meta/registry_types.h"

namespace multiraft::meta {

/// Pointers into a view are valid as long as the view is.
class RegistryView {
 public:
  RegistryView();

  ClusterId cluster() const { return cluster_; }
  /// Nothing was registered yet.
  bool empty() const { return cluster_ == ClusterId{}; }
  /// Serials below were given out; this one is next.
  uint32_t next_serial() const { return next_serial_; }
  /// Index in group 0's log of the last command that changed something.
  LogIndex version() const { return version_; }

  const std::vector<NodeRecord>& nodes() const { return *nodes_; }  ///< Ids ascend.
  const NodeRecord* node(NodeId id) const;
  const GroupRecord* group(GroupId id) const;
  size_t group_count() const { return group_count_; }
  /// All groups with group 0, ids ascending.
  std::vector<const GroupRecord*> groups() const;
  /// The first `limit` of them from `from` on. Costs as much as it returns.
  std::vector<const GroupRecord*> groups_from(GroupId from, size_t limit) const;
  /// The user groups in which the node has a replica, leaving ones included, ids ascending.
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

  static constexpr size_t kBuckets = 256;
  using Bucket = std::vector<std::shared_ptr<const GroupRecord>>;  ///< Ids ascend.

  static size_t bucket_of(GroupId id) { return id.value % kBuckets; }
  void put_node(NodeRecord node);
  void erase_node(NodeId id);
  void put_group(GroupRecord group);

  ClusterId cluster_;
  uint32_t next_serial_ = 1;
  LogIndex version_;
  std::shared_ptr<const std::vector<NodeRecord>> nodes_;
  std::array<std::shared_ptr<const Bucket>, kBuckets> buckets_;
  size_t group_count_ = 0;
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

}  // namespace multiraft::meta
