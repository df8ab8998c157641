#include "cluster/registry_restore.h"

#include <algorithm>
#include <tuple>

#include "base/bytes.h"
#include "base/coverage.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "registry/codec.h"
#include "registry/registry.h"

namespace multiraft::cluster {
namespace {

constexpr uint64_t kMagic = 0x5453455254464d52;  // "RMFTREST"
constexpr uint32_t kVersion = 1;

std::string plan_path(const std::string& state_dir) { return state_dir + "/new_registry"; }

std::string encoded_state(const std::shared_ptr<const registry::RegistryView>& view) {
  registry::RegistryWriter writer(view);
  std::string all;
  std::string piece;
  for (writer.next(limits::kSnapshotChunkBytes, piece); !piece.empty();
       writer.next(limits::kSnapshotChunkBytes, piece)) {
    all += piece;
  }
  return all;
}

Status refusal(const std::string& why) {
  return {StatusCode::kConflict, "-force_new_registry: " + why};
}

std::vector<NodeId> nodes_of(const std::vector<ReplicaId>& replicas) {
  std::vector<NodeId> nodes;
  for (const ReplicaId replica : replicas) nodes.push_back(replica.node());
  return nodes;
}

}  // namespace

std::string encode_plan(const RestorePlan& plan) {
  std::string bytes;
  ByteWriter out(bytes);
  out.u64(kMagic);
  out.u32(kVersion);
  out.u64(plan.replica.value);
  out.sized(plan.state);
  out.u32(crc32c(bytes));
  return bytes;
}

Result<RestorePlan> decode_plan(std::string_view bytes) {
  const auto corrupt = [](const char* why) { return Status(StatusCode::kCorruption, why); };
  ByteReader in(bytes);
  if (in.u64() != kMagic) return corrupt("offset 0: not the plan of a new registry");
  const uint32_t version = in.u32();
  RestorePlan plan;
  plan.replica.value = in.u64();
  plan.state = in.sized();
  const size_t checked = in.position();
  const uint32_t crc = in.u32();
  if (!in.complete()) return corrupt("its length is wrong");
  if (crc != crc32c(bytes.substr(0, checked))) return corrupt("offset 0: the checksum is wrong");
  if (version != kVersion) {
    return Status(StatusCode::kUnsupported, "offset 8: version " + std::to_string(version) +
                                                " was written by another version of multiraft");
  }
  return plan;
}

Result<std::optional<RestorePlan>> read_plan(env::FileSystem& fs, const std::string& state_dir) {
  const std::string path = plan_path(state_dir);
  auto exists = fs.exists(path);
  if (!exists) return exists.status();
  if (!*exists) return std::optional<RestorePlan>();
  auto bytes = fs.read_file(path);
  if (!bytes) return bytes.status();
  auto plan = decode_plan(*bytes);
  if (!plan) return Status(plan.status().code(), path + ": " + plan.status().message());
  return std::optional<RestorePlan>(std::move(*plan));
}

Status judge_restore(NodeId self, const RegistryPosition& own,
                     const std::vector<std::vector<NodeId>>& voters,
                     const std::vector<std::pair<NodeId, RegistryPosition>>& answers) {
  for (const auto& [node, position] : answers) {
    const std::string name = "node " + to_string(node);
    if (position.restorations > own.restorations) {
      return refusal(name +
                     " is in a group 0 that was made again already: start without the flag, "
                     "and this node follows it");
    }
    if (position.leader_known) {
      return refusal(name + " knows a leader of group 0: start without the flag");
    }
  }
  const auto is_there = [&](NodeId node) {
    return node == self || std::any_of(answers.begin(), answers.end(),
                                       [&](const auto& a) { return a.first == node; });
  };
  bool majority = true;
  for (const std::vector<NodeId>& half : voters) {
    if (half.empty()) continue;
    const auto there = static_cast<size_t>(std::count_if(half.begin(), half.end(), is_there));
    majority = majority && there > half.size() / 2;
  }
  if (majority) {
    return refusal(
        "a majority of the voters of group 0 is there: start without the flag, and it "
        "elects a leader");
  }
  for (const auto& [node, position] : answers) {
    if (std::tuple(position.last_term, position.last_index) >
        std::tuple(own.last_term, own.last_index)) {
      return refusal("node " + to_string(node) + " has more of group 0 (term " +
                     to_string(position.last_term) + ", index " + to_string(position.last_index) +
                     ") than this node (term " + to_string(own.last_term) + ", index " +
                     to_string(own.last_index) + "): use the flag there");
    }
  }
  return Status::ok();
}

struct RegistryRestore::Inquiry {
  RegistryPosition own;
  std::vector<std::vector<NodeId>> voters;
  std::vector<std::pair<NodeId, RegistryPosition>> answers;
  size_t missing = 0;
};

RegistryRestore::RegistryRestore(NodeContext& context, const AddressPublisher& addresses,
                                 std::string state_dir, Callbacks callbacks)
    : context_(context),
      addresses_(addresses),
      path_(plan_path(state_dir)),
      callbacks_(std::move(callbacks)),
      thread_(context.env.start_blocking_executor("new-registry")) {}

RegistryRestore::~RegistryRestore() { close(); }

void RegistryRestore::close() { thread_->stop(); }

void RegistryRestore::start() {
  context_.log(raft::LogLevel::kWarn,
               "-force_new_registry: asks the other nodes whether group 0 is really lost");
  // A leader that is there is heard of by then, and what is known to be committed is applied.
  context_.after(2 * context_.timing.election_ns, [this] {
    context_.host.status(registry::kRegistryGroup, context_.executor,
                         context_.guard_posted([this](const Result<host::ReplicaStatus>& status) {
                           if (!status)
                             return callbacks_.refused(refusal(status.status().message()));
                           ask(*status);
                         }));
  });
}

void RegistryRestore::ask(const host::ReplicaStatus& status) {
  if (!status.stopped.empty()) return callbacks_.refused(refusal(status.stopped));
  auto inquiry = std::make_shared<Inquiry>();
  inquiry->own.restorations = static_cast<uint32_t>(context_.view()->restorations());
  inquiry->own.last_term = status.last_term;
  inquiry->own.last_index = status.last_index;
  inquiry->voters = {nodes_of(status.raft.conf_state.voters),
                     nodes_of(status.raft.conf_state.voters_outgoing)};
  if (status.raft.soft_state.leader != raft::kNoReplica) {
    return callbacks_.refused(refusal("group 0 has a leader: start without the flag"));
  }
  if (context_.view()->empty()) {
    return callbacks_.refused(
        refusal("this node has no copy of the registry: use the flag on another node"));
  }
  std::vector<std::pair<NodeId, env::Address>> nodes;
  for (const auto& [node, text] : addresses_.others()) {
    if (auto address = env::Address::parse(text)) nodes.emplace_back(node, *address);
  }
  inquiry->missing = nodes.size();
  if (nodes.empty()) return judge(*inquiry);
  for (const auto& [node, address] : nodes) {
    wire::Request request;
    request.kind = wire::RequestKind::kAdmin;
    request.payload = encode(AdminRequest(RegistryQuery{}));
    context_.host.transport().call(
        transport::Callee(address, node), std::move(request), 4 * context_.timing.election_ns,
        context_.executor,
        context_.guard_posted([this, inquiry, node = node](const Result<wire::Response>& response) {
          answered(inquiry, node, response);
        }));
  }
}

void RegistryRestore::answered(const std::shared_ptr<Inquiry>& inquiry, NodeId node,
                               const Result<wire::Response>& response) {
  if (response && response->code == StatusCode::kOk) {
    if (auto position = decode_registry_position(response->payload)) {
      inquiry->answers.emplace_back(node, *position);
    }
  }
  if (--inquiry->missing == 0) judge(*inquiry);
}

void RegistryRestore::judge(const Inquiry& inquiry) {
  const Status may = judge_restore(context_.self, inquiry.own, inquiry.voters, inquiry.answers);
  if (!may) {
    MR_COVERAGE("meta: a new registry is refused");
    return callbacks_.refused(may);
  }
  read_tail();
}

/// What the lost majority committed may stand at the end of the log without this node having heard
/// that it is committed. Whatever is there counts: of what was not, nobody can say what became.
void RegistryRestore::read_tail() {
  context_.host.unapplied_entries(
      registry::kRegistryGroup, context_.executor,
      context_.guard_posted([this](const Result<std::vector<raft::Entry>>& tail) {
        if (!tail) return callbacks_.refused(refusal(tail.status().message()));
        registry::Registry registry(*context_.view());
        for (const raft::Entry& entry : *tail) {
          if (entry.type != raft::EntryType::kNormal || entry.data.empty()) continue;
          const Result<registry::RegistryCommand> command =
              registry::decode_command(entry.data.view());
          if (command.status().code() == StatusCode::kUnsupported) {
            return callbacks_.refused(
                refusal(command.status().message() + ": use a newer version of multiraft"));
          }
          if (command) (void)registry.apply(*command, entry.index);
        }
        RestorePlan plan;
        plan.state = encoded_state(registry.share());
        plan.replica = registry::restored_replica(registry.state(), context_.self);
        if (plan.state.size() > limits::kValueBytesMax) {
          return callbacks_.refused(refusal("the registry has more than " +
                                            std::to_string(limits::kValueBytesMax) + " bytes"));
        }
        write(std::move(plan));
      }));
}

void RegistryRestore::write(RestorePlan plan) {
  plan_ = std::move(plan);
  thread_->post([&fs = context_.env.file_system(), path = path_, bytes = encode_plan(*plan_),
                 done = context_.guard_posted([this](const Status& status) {
                   if (!status) return callbacks_.fatal(status);
                   replace_replica();
                 })]() mutable { done(fs.write_file_atomically(path, bytes)); });
}

void RegistryRestore::resume(RestorePlan plan) {
  MR_COVERAGE("meta: a new registry is completed after a restart");
  plan_ = std::move(plan);
  created_ = context_.registry_replica == plan_->replica;
  if (created_) {
    if (context_.leads_registry()) propose();
  } else {
    replace_replica();
  }
}

void RegistryRestore::replace_replica() {
  context_.log(raft::LogLevel::kWarn, "group 0 is made again on this node alone");
  const auto create = [this] {
    context_.registry_replica = plan_->replica;
    raft::Snapshot mark{LogIndex(1), Term(1), {}};
    mark.conf_state.voters = {plan_->replica};
    context_.host.create_replica(registry::kRegistryGroup, plan_->replica, mark, context_.executor,
                                 context_.guard_posted([this](const Status& status) {
                                   if (!status) return callbacks_.fatal(status);
                                   created_ = true;
                                   if (context_.leads_registry()) propose();
                                 }));
  };
  const ReplicaId former = context_.registry_replica;
  if (former == raft::kNoReplica) return create();
  context_.registry_state = {};
  context_.host.destroy_replica(registry::kRegistryGroup, former, context_.executor,
                                context_.guard_posted([this, create](const Status& status) {
                                  if (!status) return callbacks_.fatal(status);
                                  create();
                                }));
}

void RegistryRestore::on_leadership() {
  if (plan_ && created_) propose();
}

void RegistryRestore::propose() {
  if (!context_.view()->empty()) return finish();
  if (std::exchange(proposing_, true)) return;
  const registry::RestoreRegistry command{context_.self, context_.uuid, plan_->replica,
                                          plan_->state};
  context_.propose(command, [this](const Result<registry::RegistryOutcome>& outcome) {
    proposing_ = false;
    if (outcome && outcome->code != registry::RegistryCode::kOk && context_.view()->empty()) {
      return callbacks_.fatal(outcome->status());
    }
    if (!context_.view()->empty()) return finish();
    context_.after(context_.timing.heartbeat_ns, [this] {
      if (plan_) propose();
    });
  });
}

void RegistryRestore::finish() {
  if (!plan_) return;
  plan_.reset();
  context_.log(raft::LogLevel::kWarn,
               "group 0 is there again, with this node as its only voter for now; the other nodes "
               "follow by themselves");
  thread_->post([&fs = context_.env.file_system(), path = path_] { (void)fs.remove(path); });
  callbacks_.done();
}

}  // namespace multiraft::cluster
