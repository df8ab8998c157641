#pragma once
// Strong integer types. Two of them never mix silently: a function that takes a Term and a
// LogIndex cannot be called with the two swapped.

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

namespace multiraft {

/// An unsigned 64-bit number that means one thing. Ordered, hashable, explicit in and out.
template <class Tag>
struct StrongId {
  uint64_t value = 0;

  constexpr StrongId() = default;
  constexpr explicit StrongId(uint64_t v) : value(v) {}

  friend constexpr auto operator<=>(StrongId, StrongId) = default;
  constexpr explicit operator bool() const { return value != 0; }

  friend std::ostream& operator<<(std::ostream& os, StrongId id) { return os << id.value; }
  template <class H>
  friend H AbslHashValue(H h, StrongId id) {
    return H::combine(std::move(h), id.value);
  }
};

/// A StrongId one can count with: terms and indexes.
template <class Tag>
struct StrongCounter : StrongId<Tag> {
  using StrongId<Tag>::StrongId;

  friend constexpr auto operator<=>(StrongCounter, StrongCounter) = default;
  friend constexpr StrongCounter operator+(StrongCounter a, uint64_t n) {
    return StrongCounter(a.value + n);
  }
  friend constexpr StrongCounter operator-(StrongCounter a, uint64_t n) {
    return StrongCounter(a.value - n);
  }
  /// The distance between two positions; the caller knows that a >= b.
  friend constexpr uint64_t operator-(StrongCounter a, StrongCounter b) {
    return a.value - b.value;
  }
  constexpr StrongCounter& operator++() {
    ++this->value;
    return *this;
  }
  constexpr StrongCounter& operator+=(uint64_t n) {
    this->value += n;
    return *this;
  }
};

/// A Raft term (thesis 3.3). 0 = before the first election.
using Term = StrongCounter<struct TermTag>;
/// A position in one group's log; the first entry is 1. 0 = before it.
using LogIndex = StrongCounter<struct LogIndexTag>;
/// The number of a node as its operator gives it: 1 .. kNodeIdMax (limits.h).
using NodeId = StrongId<struct NodeIdTag>;
/// A replicated state machine; 0 is the cluster's own registry.
using GroupId = StrongId<struct GroupIdTag>;
/// A cluster, drawn at random when it is created.
using ClusterId = StrongId<struct ClusterIdTag>;

/// A member inside one group. Never reused: a node that leaves a group and comes back is another
/// replica. Composed of the node and a cluster-wide serial, so that the node a message must go to
/// is a function of the id and no address table can be stale. The core treats it as opaque.
struct ReplicaId : StrongId<struct ReplicaIdTag> {
  using StrongId<ReplicaIdTag>::StrongId;
  friend constexpr auto operator<=>(ReplicaId, ReplicaId) = default;

  static constexpr ReplicaId make(NodeId node, uint32_t serial) {
    return ReplicaId((node.value << 32) | serial);
  }
  constexpr NodeId node() const { return NodeId(value >> 32); }
  constexpr uint32_t serial() const { return static_cast<uint32_t>(value); }
};

/// Names a state directory: drawn at random when it is made, before anything else is written there.
/// The same node id with another state directory is a wiped or replaced disk.
struct StateDirId {
  uint64_t high = 0;
  uint64_t low = 0;

  bool empty() const { return high == 0 && low == 0; }
  friend bool operator==(const StateDirId&, const StateDirId&) = default;
};

template <class Tag>
std::string to_string(StrongId<Tag> id) {
  return std::to_string(id.value);
}

}  // namespace multiraft

namespace std {
template <class Tag>
struct hash<multiraft::StrongId<Tag>> {
  size_t operator()(multiraft::StrongId<Tag> id) const noexcept {
    return hash<uint64_t>()(id.value);
  }
};
template <class Tag>
struct hash<multiraft::StrongCounter<Tag>> : hash<multiraft::StrongId<Tag>> {};
template <>
struct hash<multiraft::ReplicaId> {
  size_t operator()(multiraft::ReplicaId id) const noexcept { return hash<uint64_t>()(id.value); }
};
}  // namespace std
