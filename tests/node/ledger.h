#pragma once
// What the clients and the replicas of a simulation say, and what must hold between the two: what
// was acknowledged is there, what is there was asked for, and all replicas applied the same.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "multiraft/state_machine.h"
#include "multiraft/types.h"

namespace multiraft::sim {

/// One put of one client. Every put has a key of its own, so that each can be looked for.
struct Put {
  enum class Outcome : uint8_t { kPending, kAcknowledged, kUnknown, kRefused };
  GroupId group;
  uint64_t through = 0;  ///< The node that it was sent to.
  std::string key;
  std::string value;
  uint32_t checksum = 0;  ///< Of its command.
  Outcome outcome = Outcome::kPending;
};

/// Checks answer with what is wrong, in words that begin with LOST, INVENTED or another kind of
/// violation; empty if nothing is.
class Ledger {
 public:
  using Content = std::map<std::string, std::string>;

  /// A put about to be sent; its number. The value is `bytes` long or a little longer.
  size_t issue(GroupId group, uint64_t through, size_t bytes);
  const Put& put(size_t number) const { return puts_[number]; }
  void sent(size_t number, std::string_view command);
  void answered(size_t number, Put::Outcome outcome) { puts_[number].outcome = outcome; }
  /// It was acknowledged with this index: it, and no other, is applied there.
  std::string acknowledged_at(size_t number, LogIndex index);
  /// The process of the node ended: its pending answers never come.
  void process_ended(uint64_t node);
  /// How many puts there are: those from here on may be missing in a read that begins now.
  size_t count() const { return puts_.size(); }
  /// Numbers of the puts of this group that are acknowledged now.
  std::vector<size_t> acknowledged(GroupId group) const;

  /// A read of the whole group that began when `must` were acknowledged.
  std::string check(GroupId group, const Content& content, const std::vector<size_t>& must) const;
  /// A command was applied somewhere: at its index all replicas have the same, for ever.
  std::string applied(GroupId group, const Command& command);
  /// A replica leads: nobody else does in its term.
  std::string leads(NodeId node, GroupId group, Term term);

  /// Of everything applied and led so far: equal for equal runs.
  uint64_t digest() const { return digest_; }

 private:
  struct Applied {
    Term term;
    uint32_t checksum = 0;
  };
  void mix(uint64_t value) { digest_ = (digest_ ^ value) * 0x100000001b3; }

  std::vector<Put> puts_;
  std::map<std::pair<GroupId, LogIndex>, Applied> applied_;
  std::map<std::pair<GroupId, Term>, NodeId> leaders_;
  uint64_t digest_ = 0xcbf29ce484222325;
};

}  // namespace multiraft::sim
