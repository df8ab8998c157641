#pragma once
// Whole nodes as far as cluster/ is concerned, in one thread: real controllers, identities and
// registries on a host that only pretends to run Raft. Elections, replication and snapshots happen
// at once or when the test lets them; what Raft promises is checked (violations()).

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/controller.h"
#include "env/sim/sim_environment.h"

namespace multiraft::cluster::testing {

class FakeCluster;
class FakeHost;

/// What a node's log holds of one replica; survives a crash.
struct StoredReplica {
  ReplicaId replica;
  raft::Snapshot mark;
  LogIndex applied;  ///< 0: waits for a snapshot.
};

struct FakeNode {
  NodeId id;
  std::unique_ptr<env::SimEnvironment> env;
  std::map<GroupId, StoredReplica> log;
  std::unique_ptr<state_dir::NodeIdentity> identity;
  std::unique_ptr<registry::RegistryEngine> registry;
  std::unique_ptr<Controller> controller;  ///< Before the host: it is its observer.
  std::unique_ptr<FakeHost> host;
  std::string raft_address;
  std::string api_address;
  uint64_t life = 0;  ///< Counts starts of the process.
  bool up = false;
  bool replaces_lost_disk = false;             ///< ControllerOptions; wipe() sets it.
  VersionRange versions = kSupportedVersions;  ///< Of its program at the next start.
  bool connected = true;                       ///< To everyone else.
  bool receives = true;          ///< False: no leader reaches it, but it asks and answers.
  env::MonotonicTime seen_last;  ///< Up and connected.

  // What its controller reported.
  int ready = 0;
  int removed = 0;
  std::optional<Status> replaced;
  std::optional<Status> other_cluster;
  std::optional<Status> unsupported;
  std::optional<Status> refused;
  std::optional<Status> older;
  std::optional<Status> fatal;
  std::vector<std::string> lines;
};

/// One group as a perfect Raft would run it. A joint configuration is left at the next beat at
/// which both of its halves have a quorum.
struct FakeGroup {
  struct Entry {
    SharedBytes command;                  ///< Or:
    std::optional<raft::ConfState> conf;  ///< From here on.
  };
  raft::ConfState conf;
  Term term{1};
  ReplicaId leader;
  bool elects = true;          ///< False: stays without a leader once it has lost it.
  std::vector<Entry> entries;  ///< From index 2.
  env::MonotonicTime lost_leader;
  std::set<ReplicaId> left;  ///< Were in the configuration and are not any more.

  LogIndex last() const { return LogIndex(1 + entries.size()); }
};

struct StartOptions {
  uint64_t join = 0;  ///< The node whose address to join through; 0: none.
  uint64_t group = 1;
  bool must_start = true;
};

class FakeCluster {
 public:
  explicit FakeCluster(uint64_t seed = 1);
  ~FakeCluster();

  // -- What a test does.
  FakeNode& node(uint64_t id);
  /// Starts the process. Options are remembered for later starts.
  Status start(uint64_t id, std::optional<StartOptions> options = {});
  void kill(uint64_t id);
  /// The process ends and its disk is empty.
  void wipe(uint64_t id);
  void run_for(int64_t ns) { scheduler_.advance(ns); }
  bool run_until(const std::function<bool()>& done, int64_t limit_ns = 30 * env::kSecond) {
    return scheduler_.run_until(done, limit_ns);
  }
  /// Calls and waits for the answer.
  Status create_group(uint64_t at, uint64_t group, std::vector<uint64_t> nodes);
  Status add_member(uint64_t at, uint64_t group, uint64_t node);
  Status remove_member(uint64_t at, uint64_t group, uint64_t node);
  registry::RegistryOutcome propose(uint64_t at, const registry::RegistryCommand& command);
  /// Makes this node lead, as an election elsewhere would, in a new term.
  void elect(uint64_t group, uint64_t node);

  // -- What a test looks at.
  FakeGroup& group(uint64_t id) { return groups_[GroupId(id)]; }
  const registry::RegistryView& view(uint64_t node);
  std::vector<uint64_t> voters(uint64_t group);
  std::vector<uint64_t> learners(uint64_t group);
  bool hosts(uint64_t node, uint64_t group) {
    return this->node(node).log.contains(GroupId(group));
  }
  bool ready(uint64_t id) { return node(id).ready > 0; }
  /// What no cluster may ever do: one line each.
  const std::vector<std::string>& violations() const { return violations_; }

  env::SimScheduler& scheduler() { return scheduler_; }
  /// A thread of nobody's, to be answered on.
  env::Executor& caller() { return *network_; }
  /// Called before a membership change is carried out, to do something in between.
  std::function<void(GroupId, const raft::ConfChange&)> before_change;
  /// Called after a configuration was appended, the end of a joint one included.
  std::function<void(GroupId, const raft::ConfState&)> after_change;
  /// Called when a linearizable read of group 0 is about to be answered.
  std::function<void(NodeId)> before_read_answer;

 private:
  friend class FakeHost;
  friend class FakeTransport;

  void beat();
  void keep_leader(GroupId id, FakeGroup& group);
  void lose_leader(GroupId id, FakeGroup& group);
  void set_leader(GroupId id, FakeGroup& group, ReplicaId leader);
  void announce(GroupId id, const FakeGroup& group);
  void deliver(GroupId id, FakeGroup& group);
  void deliver_to(GroupId id, FakeGroup& group, FakeNode& node, StoredReplica& stored);
  void append(GroupId id, FakeGroup::Entry entry);
  bool reachable(ReplicaId replica, GroupId group);
  /// What the leader believes, as Raft's CheckQuorum does: also some time after the end.
  bool seems_active(ReplicaId replica, GroupId group);
  bool has_quorum(GroupId id, const FakeGroup& group);
  bool alive(NodeId id, uint64_t life);
  FakeNode* find(const std::string& raft_address);
  /// Runs on the node's worker after `delay_ns`, unless the process has ended by then.
  void post_to(FakeNode& node, int64_t delay_ns, Task task);
  void violate(std::string what) { violations_.push_back(std::move(what)); }
  void destroy_process(FakeNode& node);

  env::SimScheduler scheduler_;
  env::SimEnvironment world_;
  std::unique_ptr<env::Executor> network_;
  std::map<NodeId, FakeNode> nodes_;
  std::map<NodeId, StartOptions> start_options_;
  std::map<GroupId, FakeGroup> groups_;
  std::set<ReplicaId> created_;
  std::vector<std::string> violations_;
  Prng random_;
};

}  // namespace multiraft::cluster::testing
