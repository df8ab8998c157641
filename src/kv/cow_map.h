#pragma once
// An ordered map of keys whose copies are cheap: the memory engine's state.
//
//     index (by first key)     ""        "grape"      "melon"
//                               |           |            |
//     leaves (shared)       [a b c d]   [grape kiwi]  [melon plum]
//
// A copy shares all leaves, so it costs one pointer a leaf. Each map that has been copied numbers
// its later writes with a new generation, and a write into a leaf of an older generation replaces
// that leaf by a copy first. So a copy never changes, and no reference count has to be asked.

#include <absl/container/btree_map.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "multiraft/bytes.h"
#include "multiraft/types.h"

namespace multiraft::kv {

/// One owner at a time. A frozen copy may be read on one thread while the original is written on
/// another.
class CowMap {
 public:
  struct Entry {
    SharedBytes key;
    SharedBytes value;
    LogIndex modified_index;
  };

 private:
  static constexpr size_t kLeafEntriesMax = 64;
  struct Leaf {
    uint64_t generation = 0;
    std::vector<Entry> entries;  ///< Keys ascend. Never empty.
  };
  struct Less {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const { return a < b; }
  };
  /// A leaf holds the keys from its own in the index up to the next leaf's. The first one's is
  /// empty.
  using Index = absl::btree_map<SharedBytes, std::shared_ptr<Leaf>, Less>;

 public:
  /// A position at an entry or at the end. Ends with the next write to its map.
  class Iterator {
   public:
    bool at_end() const { return leaf_ == map_->index_.end(); }
    const Entry& operator*() const { return leaf_->second->entries[slot_]; }
    const Entry* operator->() const { return &**this; }
    void advance();
    /// One step back, from the end as well; false at the first entry, where it stays.
    bool retreat();

   private:
    friend class CowMap;
    const CowMap* map_ = nullptr;
    Index::const_iterator leaf_;
    size_t slot_ = 0;
  };

  CowMap() = default;
  CowMap(const CowMap&) = delete;
  CowMap& operator=(const CowMap&) = delete;
  CowMap(CowMap&&) = default;
  CowMap& operator=(CowMap&&) = default;

  size_t size() const { return size_; }
  const Entry* find(std::string_view key) const;
  /// The first entry whose key is not less.
  Iterator lower_bound(std::string_view key) const;
  Iterator begin() const { return lower_bound({}); }
  Iterator end() const;

  void put(std::string_view key, std::string_view value, LogIndex modified_index);
  /// False where there was no such key.
  bool erase(std::string_view key);

  /// A copy that never changes.
  CowMap freeze();

 private:
  Index::iterator leaf_of(std::string_view key);
  Index::const_iterator leaf_of(std::string_view key) const;
  Leaf& writable(Index::iterator leaf);
  void add_leaf(Entry first);
  void split(Index::iterator leaf);
  static size_t slot_of(const Leaf& leaf, std::string_view key);

  Index index_;
  size_t size_ = 0;
  uint64_t generation_ = 0;
};

}  // namespace multiraft::kv
