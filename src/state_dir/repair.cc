#include "state_dir/repair.h"

#include <algorithm>

namespace multiraft::state_dir {
namespace {

constexpr std::string_view kAside = "damaged-";

/// What a new replica must not find. The node file and the lock stay; the peers are needed to join.
bool goes_aside(const std::string& name) { return name == "log" || name == "kv" || name == "snap"; }

Result<NodeFacts> read_facts(env::FileSystem& fs, const std::string& path) {
  auto bytes = fs.read_file(path);
  if (!bytes) return bytes.status();
  auto facts = decode_facts(*bytes);
  if (facts) return facts;
  return Status(facts.status().code(),
                path + ": " + facts.status().message() +
                    ". The node does not know who it is: put the whole directory aside and start " +
                    "with an empty one and -join");
}

Result<std::vector<NodeAddress>> read_peers(env::FileSystem& fs, const std::string& path,
                                            NodeId self) {
  std::vector<NodeAddress> peers;
  auto exists = fs.exists(path);
  if (!exists) return exists.status();
  if (!*exists) return peers;
  auto bytes = fs.read_file(path);
  if (!bytes) return bytes.status();
  auto book = decode_known_nodes(*bytes);
  if (!book) return peers;  // A hint only.
  for (const NodeAddress& node : book->nodes) {
    if (node.node != self) peers.push_back(node);
  }
  return peers;
}

/// The number in "damaged-N"; 0 for other names.
uint64_t aside_number(const std::string& name) {
  if (!name.starts_with(kAside) || name.size() > kAside.size() + 9) return 0;
  uint64_t number = 0;
  for (const char c : name.substr(kAside.size())) {
    if (c < '0' || c > '9') return 0;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  return number;
}

}  // namespace

Result<RepairPlan> plan_repair(env::FileSystem& fs, const std::string& state_dir) {
  RepairPlan plan;
  plan.state_dir = state_dir;
  auto facts = read_facts(fs, state_dir + "/node");
  if (!facts) return facts.status();
  plan.before = *facts;
  auto names = fs.list(state_dir);
  if (!names) return names.status();
  std::sort(names->begin(), names->end());
  uint64_t last = 0;
  for (const std::string& name : *names) {
    last = std::max(last, aside_number(name));
    if (goes_aside(name)) plan.moved.push_back(name);
  }
  const std::string newest = state_dir + "/" + std::string(kAside) + std::to_string(last);
  if (plan.before.phase == NodePhase::kRemoved && last > 0) {
    // A repair marks the node as removed before it moves anything: is that what happened here?
    auto kept = fs.exists(newest + "/node");
    if (!kept) return kept.status();
    if (*kept) {
      auto original = read_facts(fs, newest + "/node");
      if (!original) return original.status();
      plan.resumes = original->phase != NodePhase::kRemoved;
      if (plan.resumes) plan.before = *original;
    }
  }
  if (plan.before.phase == NodePhase::kRemoved) {
    return Status(StatusCode::kConflict,
                  state_dir + " belongs to a node that was removed from its cluster: there is " +
                      "nothing to repair. Start with an empty directory and -join");
  }
  if (plan.before.cluster == ClusterId{} || (plan.moved.empty() && !plan.resumes)) {
    return Status(StatusCode::kConflict,
                  state_dir + " holds no replicas yet: there is nothing to repair");
  }
  plan.aside =
      plan.resumes ? newest : state_dir + "/" + std::string(kAside) + std::to_string(last + 1);
  auto peers = read_peers(fs, state_dir + "/peers", plan.before.node);
  if (!peers) return peers.status();
  plan.peers = std::move(*peers);
  return plan;
}

Status apply_repair(env::Environment& env, const RepairPlan& plan) {
  env::FileSystem& fs = env.file_system();
  auto lock = fs.lock(plan.state_dir + "/LOCK");
  if (!lock) return lock.status();
  const std::string node_file = plan.state_dir + "/node";
  // 1. What the node was, in case this is cut off.
  MR_RETURN_IF_ERROR(fs.create_directories(plan.aside));
  MR_RETURN_IF_ERROR(fs.sync_directory(plan.state_dir));
  if (!plan.resumes) {
    MR_RETURN_IF_ERROR(fs.write_file_atomically(plan.aside + "/node", encode_facts(plan.before)));
  }
  // 2. From here until the end no process serves from this directory: half of a log may be there.
  NodeFacts closed = plan.before;
  closed.phase = NodePhase::kRemoved;
  MR_RETURN_IF_ERROR(fs.write_file_atomically(node_file, encode_facts(closed)));
  // 3. The replicas.
  for (const std::string& name : plan.moved) {
    MR_RETURN_IF_ERROR(fs.rename(plan.state_dir + "/" + name, plan.aside + "/" + name));
  }
  MR_RETURN_IF_ERROR(fs.sync_directory(plan.aside));
  MR_RETURN_IF_ERROR(fs.sync_directory(plan.state_dir));
  // 4. A node with this number and an empty disk, which may join only its own cluster.
  NodeFacts fresh = plan.before;
  fresh.phase = NodePhase::kJoining;
  fresh.life = 0;
  do {
    fresh.uuid = {env.random_u64(), env.random_u64()};
  } while (fresh.uuid.empty() || fresh.uuid == plan.before.uuid);
  return fs.write_file_atomically(node_file, encode_facts(fresh));
}

}  // namespace multiraft::state_dir
