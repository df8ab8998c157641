#include "registry/view.h"

#include <algorithm>
#include <utility>

namespace multiraft::registry {
namespace {

template <class Records, class Id>
auto position(Records& records, Id id) {
  return std::lower_bound(records.begin(), records.end(), id,
                          [](const auto& record, Id wanted) { return record.id < wanted; });
}

template <class Counts>
auto count_position(Counts& counts, NodeId id) {
  return std::lower_bound(counts.begin(), counts.end(), id,
                          [](const auto& count, NodeId wanted) { return count.first < wanted; });
}

/// Ascending, each once: a leaving replica and its successor are on the same node.
std::vector<NodeId> nodes_of(const GroupRecord& group) {
  std::vector<NodeId> nodes;
  for (const MemberRecord& m : group.members) nodes.push_back(m.replica.node());
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  return nodes;
}

}  // namespace

const MemberRecord* GroupRecord::member(ReplicaId replica) const {
  for (const MemberRecord& m : members) {
    if (m.replica == replica) return &m;
  }
  return nullptr;
}

const MemberRecord* GroupRecord::member_on(NodeId node) const {
  for (const MemberRecord& m : members) {
    if (m.replica.node() == node && !m.leaving) return &m;
  }
  return nullptr;
}

bool GroupRecord::is_founder(ReplicaId replica) const {
  return std::binary_search(founders.begin(), founders.end(), replica);
}

RegistryView::RegistryView()
    : nodes_(std::make_shared<const std::vector<NodeRecord>>()),
      group_counts_(std::make_shared<const Counts>()) {
  buckets_.fill(std::make_shared<const Bucket>());
}

const NodeRecord* RegistryView::node(NodeId id) const {
  const auto at = position(*nodes_, id);
  return at != nodes_->end() && at->id == id ? &*at : nullptr;
}

const GroupRecord* RegistryView::group(GroupId id) const {
  const Bucket& bucket = *buckets_[bucket_of(id)];
  const auto at = std::lower_bound(bucket.begin(), bucket.end(), id,
                                   [](const auto& g, GroupId wanted) { return g->id < wanted; });
  return at != bucket.end() && (*at)->id == id ? at->get() : nullptr;
}

std::vector<const GroupRecord*> RegistryView::groups() const {
  std::vector<const GroupRecord*> all;
  all.reserve(group_count_);
  for_each_group([&](const GroupRecord& group) { all.push_back(&group); });
  std::sort(all.begin(), all.end(),
            [](const GroupRecord* a, const GroupRecord* b) { return a->id < b->id; });
  return all;
}

std::vector<const GroupRecord*> RegistryView::groups_from(GroupId from, size_t limit) const {
  using At = Bucket::const_iterator;
  struct Source {
    At next, end;
  };
  const auto later = [](const Source& a, const Source& b) { return (*b.next)->id < (*a.next)->id; };
  std::vector<Source> heap;
  heap.reserve(kBuckets);
  for (const auto& bucket : buckets_) {
    const At next = std::lower_bound(bucket->begin(), bucket->end(), from,
                                     [](const auto& g, GroupId wanted) { return g->id < wanted; });
    if (next != bucket->end()) heap.push_back({next, bucket->end()});
  }
  std::make_heap(heap.begin(), heap.end(), later);
  std::vector<const GroupRecord*> found;
  while (!heap.empty() && found.size() < limit) {
    std::pop_heap(heap.begin(), heap.end(), later);
    Source& source = heap.back();
    found.push_back(source.next->get());
    if (++source.next == source.end) {
      heap.pop_back();
    } else {
      std::push_heap(heap.begin(), heap.end(), later);
    }
  }
  return found;
}

size_t RegistryView::group_count_of(NodeId node) const {
  const auto at = count_position(*group_counts_, node);
  return at != group_counts_->end() && at->first == node ? at->second : 0;
}

std::vector<GroupId> RegistryView::groups_of(NodeId node) const {
  std::vector<GroupId> ids;
  for_each_group([&](const GroupRecord& group) {
    if (group.id == kRegistryGroup) return;
    const bool member =
        std::any_of(group.members.begin(), group.members.end(),
                    [&](const MemberRecord& m) { return m.replica.node() == node; });
    if (member) ids.push_back(group.id);
  });
  std::sort(ids.begin(), ids.end());
  return ids;
}

bool RegistryView::is_removed(GroupId id, ReplicaId replica) const {
  if (empty() || replica.serial() == 0 || replica.serial() >= next_serial_) return false;
  const GroupRecord* record = group(id);
  if (record && record->member(replica)) return false;
  return std::none_of(lost_serials_.begin(), lost_serials_.end(), [&](const SerialRange& lost) {
    return replica.serial() >= lost.first && replica.serial() <= lost.last;
  });
}

void RegistryView::put_node(NodeRecord node) {
  std::vector<NodeRecord> nodes = *nodes_;
  const auto at = position(nodes, node.id);
  if (at != nodes.end() && at->id == node.id) {
    *at = std::move(node);
  } else {
    nodes.insert(at, std::move(node));
  }
  nodes_ = std::make_shared<const std::vector<NodeRecord>>(std::move(nodes));
}

void RegistryView::erase_node(NodeId id) {
  std::vector<NodeRecord> nodes = *nodes_;
  std::erase_if(nodes, [&](const NodeRecord& node) { return node.id == id; });
  nodes_ = std::make_shared<const std::vector<NodeRecord>>(std::move(nodes));
}

void RegistryView::count_groups(const GroupRecord* before, const GroupRecord& after) {
  const std::vector<NodeId> left = before ? nodes_of(*before) : std::vector<NodeId>();
  const std::vector<NodeId> right = nodes_of(after);
  if (left == right) return;
  Counts counts = *group_counts_;
  for (NodeId node : right) {
    const auto at = count_position(counts, node);
    if (at != counts.end() && at->first == node) {
      ++at->second;
    } else {
      counts.insert(at, {node, 1});
    }
  }
  for (NodeId node : left) {
    const auto at = count_position(counts, node);
    if (--at->second == 0) counts.erase(at);
  }
  group_counts_ = std::make_shared<const Counts>(std::move(counts));
}

void RegistryView::put_group(GroupRecord group) {
  const size_t index = bucket_of(group.id);
  auto record = std::make_shared<const GroupRecord>(std::move(group));
  if (record->id != kRegistryGroup) count_groups(this->group(record->id), *record);
  Bucket bucket = *buckets_[index];
  const auto at = std::lower_bound(bucket.begin(), bucket.end(), record->id,
                                   [](const auto& g, GroupId wanted) { return g->id < wanted; });
  if (at != bucket.end() && (*at)->id == record->id) {
    *at = std::move(record);
  } else {
    bucket.insert(at, std::move(record));
    ++group_count_;
  }
  buckets_[index] = std::make_shared<const Bucket>(std::move(bucket));
}

}  // namespace multiraft::registry
