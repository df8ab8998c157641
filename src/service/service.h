#pragma once
// What a caller can ask of a node and its cluster. NodeService implements it on host, kv, registry
// and cluster; tests implement it with canned answers.
//
// There is one Service per worker. Every call is made on that worker's thread and every callback
// arrives there, exactly once, possibly before the call returns. The service owns all deadlines.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/memory_budget.h"
#include "base/task.h"
#include "base/version_range.h"
#include "multiraft/bytes.h"
#include "multiraft/status.h"
#include "multiraft/types.h"

namespace multiraft::service {

/// A place where the group is served.
struct MemberAddress {
  NodeId node;
  std::string api_address;  ///< "HOST:PORT" or ":PORT" (then the host by which the client came).
};

struct Error {
  StatusCode code = StatusCode::kInternal;
  std::string detail;                  ///< What happened and what to do, for a person.
  std::vector<MemberAddress> members;  ///< For kWrongNode: where to go, the leader first if known.
};

/// Where the answer comes from, for the Multiraft-* headers. Zero where unknown.
struct Position {
  Term term;
  LogIndex index;  ///< Of the write, or the applied index that a read saw.
  NodeId leader;
};

template <class T>
struct Reply {
  std::variant<T, Error> result;
  Position position;
  bool is_ok() const { return result.index() == 0; }
  const T& value() const { return std::get<0>(result); }
  const Error& error() const { return std::get<1>(result); }
};

struct Done {};

struct WriteAnswer {
  uint64_t code = 0;  ///< The state machine's result code (kv/command.h).
  LogIndex index;     ///< Where the command stands in the log.
};

struct ReadAnswer {
  std::optional<SharedBytes> value;  ///< Nothing: no such key.
  LogIndex modified_index;
  std::shared_ptr<const MemoryCharge> charge;  ///< For a large value, while it is held.
};

enum class Consistency : uint8_t { kLinearizable, kLease, kLocal };

struct MemberInfo {
  NodeId id;
  uint64_t replica = 0;
  std::string raft_address;
  std::string api_address;
  bool voter = false;
  bool leader = false;
  bool leaving = false;  ///< Its removal is under way.
  // As the leader sees it; nothing on other members.
  std::optional<uint64_t> match;
  std::optional<uint64_t> next;
  std::optional<uint64_t> lag;  ///< Entries behind the leader's last index.
  std::optional<bool> active;
  std::string progress;  ///< "probe", "replicate", "snapshot"; empty if unknown.
};

struct GroupInfo {
  GroupId id;
  bool hosted = false;  ///< This node has a replica; else only id and members are set.
  std::string role;     ///< "leader", "follower", "candidate", "learner".
  NodeId leader;
  Term term;
  LogIndex commit, applied, first, last;
  std::string stopped;  ///< Why the replica of this node takes no further part; empty: it does.
  std::vector<MemberInfo> members;  ///< Ids ascend.
};

/// Groups in a row, ids ascending.
struct GroupPage {
  std::vector<GroupInfo> groups;
  bool more = false;  ///< There are groups behind the last one.
};

struct NodeInfo {
  NodeId id;
  std::string raft_address;
  std::string api_address;
  std::string state;  ///< "member" or "leaving".
  bool self = false;
  std::vector<GroupId> groups;  ///< User groups, ascending.
};

struct ClusterInfo {
  ClusterId id;           ///< 0: this node is not a member yet.
  NodeId node;            ///< That answers.
  std::string version;    ///< Of its program.
  VersionRange versions;  ///< Of the cluster, that its program supports.
  uint32_t cluster_version = 0;
  uint64_t nodes = 0;
  uint64_t groups = 0;  ///< Group 0 is not counted.
  NodeId registry_leader;
};

/// What /readyz?verbose prints: one line per check.
struct ReadinessCheck {
  std::string name;
  bool ok = false;
  std::string detail;
};

class Service {
 public:
  virtual ~Service() = default;

  virtual NodeId node() const = 0;
  /// Before the first call: what values that are read are to be charged to, so that a read beyond
  /// it is kOverloaded.
  virtual void set_budget(std::shared_ptr<MemoryBudget> budget) = 0;

  /// Replicates a command (kv/command.h) and answers once it is applied.
  virtual void write(GroupId group, SharedBytes command,
                     Callback<void(Reply<WriteAnswer>)> done) = 0;
  virtual void read(GroupId group, std::string key, Consistency consistency,
                    Callback<void(Reply<ReadAnswer>)> done) = 0;

  /// Groups from `from` on, group 0 included, at most `limit` of them. The work grows with `limit`,
  /// not with how many there are.
  virtual void list_groups(GroupId from, size_t limit, Callback<void(Reply<GroupPage>)> done) = 0;
  virtual void group_info(GroupId group, Callback<void(Reply<GroupInfo>)> done) = 0;
  virtual void list_nodes(Callback<void(Reply<std::vector<NodeInfo>>)> done) = 0;
  virtual void cluster_info(Callback<void(Reply<ClusterInfo>)> done) = 0;

  /// Idempotent; done once the group has a leader. Conflict: exists with other members.
  virtual void create_group(GroupId group, std::vector<NodeId> nodes,
                            Callback<void(Reply<Done>)> done) = 0;
  /// Done once the node has caught up and votes, or learns; calls off a removal that is under way.
  virtual void add_member(GroupId group, NodeId node, bool voter,
                          Callback<void(Reply<GroupInfo>)> done) = 0;
  /// Done once the change is committed in the group, and in group 0 where the node has no other.
  virtual void remove_member(GroupId group, NodeId node, Callback<void(Reply<Done>)> done) = 0;

  /// This node can serve: state recovered, registry known, not draining.
  virtual std::vector<ReadinessCheck> readiness() = 0;
  /// Prometheus text of this node's aggregates.
  virtual void metrics(Callback<void(std::string)> done) = 0;
};

}  // namespace multiraft::service
