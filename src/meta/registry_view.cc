#include "meta/registry_view.h"

#include <algorithm>
#include <utility>

namespace multiraft::meta {
namespace {

template <class Records, class Id>
auto position(Records& records, Id id) {
  return std::lower_bound(records.begin(), records.end(), id,
                          [](const auto& record, Id wanted) { return record.id < wanted; });
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

RegistryView::RegistryView() : nodes_(std::make_shared<const std::vector<NodeRecord>>()) {
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
  return !record || !record->member(replica);
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

void RegistryView::put_group(GroupRecord group) {
  const size_t index = bucket_of(group.id);
  auto record = std::make_shared<const GroupRecord>(std::move(group));
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

}  // namespace multiraft::meta
