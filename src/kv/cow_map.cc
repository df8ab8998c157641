#include "kv/cow_map.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/assert.h"

namespace multiraft::kv {

void CowMap::Iterator::advance() {
  MR_ASSERT(!at_end());
  if (++slot_ < leaf_->second->entries.size()) return;
  ++leaf_;
  slot_ = 0;
}

bool CowMap::Iterator::retreat() {
  if (slot_ == 0) {
    if (leaf_ == map_->index_.begin()) return false;
    --leaf_;
    slot_ = leaf_->second->entries.size();
  }
  --slot_;
  return true;
}

size_t CowMap::slot_of(const Leaf& leaf, std::string_view key) {
  const auto at = std::lower_bound(
      leaf.entries.begin(), leaf.entries.end(), key,
      [](const Entry& entry, std::string_view wanted) { return entry.key.view() < wanted; });
  return static_cast<size_t>(at - leaf.entries.begin());
}

CowMap::Index::iterator CowMap::leaf_of(std::string_view key) {
  if (index_.empty()) return index_.end();
  return std::prev(index_.upper_bound(key));
}

CowMap::Index::const_iterator CowMap::leaf_of(std::string_view key) const {
  if (index_.empty()) return index_.end();
  return std::prev(index_.upper_bound(key));
}

const CowMap::Entry* CowMap::find(std::string_view key) const {
  const Iterator at = lower_bound(key);
  return !at.at_end() && at->key.view() == key ? &*at : nullptr;
}

CowMap::Iterator CowMap::lower_bound(std::string_view key) const {
  Iterator at = end();
  if (index_.empty()) return at;
  at.leaf_ = leaf_of(key);
  at.slot_ = slot_of(*at.leaf_->second, key);
  if (at.slot_ == at.leaf_->second->entries.size()) {
    ++at.leaf_;
    at.slot_ = 0;
  }
  return at;
}

CowMap::Iterator CowMap::end() const {
  Iterator at;
  at.map_ = this;
  at.leaf_ = index_.end();
  return at;
}

CowMap::Leaf& CowMap::writable(Index::iterator leaf) {
  if (leaf->second->generation != generation_) {
    leaf->second = std::make_shared<Leaf>(*leaf->second);
    leaf->second->generation = generation_;
  }
  return *leaf->second;
}

void CowMap::add_leaf(Entry first) {
  auto leaf = std::make_shared<Leaf>();
  leaf->generation = generation_;
  SharedBytes key = index_.empty() ? SharedBytes() : first.key;
  leaf->entries.reserve(kLeafEntriesMax);
  leaf->entries.push_back(std::move(first));
  index_.emplace_hint(index_.end(), std::move(key), std::move(leaf));
}

void CowMap::split(Index::iterator at) {
  Leaf& left = *at->second;
  auto right = std::make_shared<Leaf>();
  right->generation = generation_;
  right->entries.reserve(kLeafEntriesMax);
  const auto middle = left.entries.begin() + kLeafEntriesMax / 2;
  std::move(middle, left.entries.end(), std::back_inserter(right->entries));
  left.entries.erase(middle, left.entries.end());
  SharedBytes key = right->entries.front().key;
  index_.emplace(std::move(key), std::move(right));
}

void CowMap::put(std::string_view key, std::string_view value, LogIndex modified_index) {
  Entry entry{SharedBytes::copy_of(key), SharedBytes::copy_of(value), modified_index};
  if (index_.empty()) {
    add_leaf(std::move(entry));
    ++size_;
    return;
  }
  auto at = leaf_of(key);
  size_t slot = slot_of(*at->second, key);
  if (slot < at->second->entries.size() && at->second->entries[slot].key.view() == key) {
    writable(at).entries[slot] = std::move(entry);
    return;
  }
  ++size_;
  if (at->second->entries.size() == kLeafEntriesMax) {
    // Keys that only grow would leave a trail of half-filled leaves behind if these were split.
    if (slot == kLeafEntriesMax && std::next(at) == index_.end()) return add_leaf(std::move(entry));
    writable(at);
    split(at);
    at = leaf_of(key);
    slot = slot_of(*at->second, key);
  }
  auto& entries = writable(at).entries;
  entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(slot), std::move(entry));
}

bool CowMap::erase(std::string_view key) {
  if (index_.empty()) return false;
  const auto at = leaf_of(key);
  const size_t slot = slot_of(*at->second, key);
  if (slot == at->second->entries.size() || at->second->entries[slot].key.view() != key) {
    return false;
  }
  --size_;
  auto& entries = writable(at).entries;
  entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(slot));
  if (!entries.empty()) return true;
  const auto next = index_.erase(at);
  if (next == index_.begin() && next != index_.end()) {
    // The first leaf also takes the keys before its first entry, which its key has to say.
    auto leaf = std::move(next->second);
    index_.erase(next);
    index_.emplace(SharedBytes(), std::move(leaf));
  }
  return true;
}

CowMap CowMap::freeze() {
  CowMap copy;
  copy.index_ = index_;
  copy.size_ = size_;
  ++generation_;
  return copy;
}

}  // namespace multiraft::kv
