#include "cluster/admin_operations.h"

#include <algorithm>
#include <utility>

#include "cluster/messages.h"

namespace multiraft::cluster {
namespace {

constexpr int64_t kLookAgainNs = 20 * env::kMillisecond;
constexpr size_t kWaitingMax = 1024;

/// The replica left its group, and where that was the node's last one, the node left group 0:
/// before that its vote there still counts, and whoever asked must not switch it off.
bool is_complete(const registry::RegistryView& view, GroupId group, ReplicaId removed) {
  if (!view.is_removed(group, removed)) return false;
  const registry::NodeRecord* node = view.node(removed.node());
  return !node || node->state == registry::NodeState::kMember ||
         view.group_count_of(removed.node()) > 0;
}

}  // namespace

void AdminOperations::create_group(GroupId group, std::vector<NodeId> nodes,
                                   env::Executor& reply_on, Callback<void(Status)> done) {
  begin(registry::CreateGroup{group, std::move(nodes)}, group, For::kLeader, reply_on,
        std::move(done));
}

void AdminOperations::remove_member(GroupId group, NodeId node, env::Executor& reply_on,
                                    Callback<void(Status)> done) {
  begin(registry::RemoveMember{group, node}, group, For::kRemoval, reply_on, std::move(done));
}

void AdminOperations::add_member(GroupId group, NodeId node, bool voter, env::Executor& reply_on,
                                 Callback<void(Status)> done) {
  begin(registry::AddMember{group, node, voter}, group, For::kAddition, reply_on, std::move(done));
}

void AdminOperations::begin(const registry::RegistryCommand& command, GroupId group, For what,
                            env::Executor& reply_on, Callback<void(Status)> done) {
  if (waiting_.size() >= kWaitingMax) {
    return NodeContext::reply(reply_on, std::move(done),
                              Status(StatusCode::kOverloaded, "too many such requests at once"));
  }
  auto waiting = std::make_unique<Waiting>();
  const uint64_t id = next_id_++;
  waiting->id = id;
  waiting->group = group;
  waiting->reply_on = &reply_on;
  waiting->done = std::move(done);
  waiting_.push_back(std::move(waiting));
  context_.after(timeout_ns_, [this, id] { expire(id); });
  context_.propose(command, [this, id, what](const Result<registry::RegistryOutcome>& outcome) {
    registered(id, what, outcome);
  });
}

void AdminOperations::registered(uint64_t id, For what,
                                 const Result<registry::RegistryOutcome>& outcome) {
  Waiting* waiting = find(id);
  if (!waiting) return;
  const Status status = outcome ? outcome->status() : outcome.status();
  if (!status) return finish(id, status);
  waiting->what = what;
  if (what == For::kRemoval || what == For::kAddition) {
    waiting->member = outcome->replica;
    on_registry(*context_.view());
  } else {
    look_for_leader(id);
  }
}

AdminOperations::Waiting* AdminOperations::find(uint64_t id) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const auto& waiting) { return waiting->id == id; });
  return found == waiting_.end() ? nullptr : found->get();
}

void AdminOperations::finish(uint64_t id, Status status) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const auto& waiting) { return waiting->id == id; });
  if (found == waiting_.end()) return;
  const std::unique_ptr<Waiting> waiting = std::move(*found);
  waiting_.erase(found);
  NodeContext::reply(*waiting->reply_on, std::move(waiting->done), std::move(status));
}

void AdminOperations::expire(uint64_t id) {
  const Waiting* waiting = find(id);
  if (!waiting) return;
  const char* why = "";
  switch (waiting->what) {
    case For::kRegistry:
      why = "group 0 did not answer in time";
      break;
    case For::kLeader:
      why = "the group exists, but has no leader yet: not enough of its nodes are reachable";
      break;
    case For::kRemoval:
      why =
          "the removal is registered and goes on, but the group could not complete it in time: not "
          "enough of its members are reachable, or the one that takes over has not caught up. POST "
          "/v1/groups/{group}/members with the node calls it off";
      break;
    case For::kAddition:
      why = "the member is registered and goes on learning, but it has not caught up in time";
      break;
  }
  finish(id, Status(StatusCode::kUnknownOutcome, why));
}

void AdminOperations::on_registry(const registry::RegistryView& view) {
  std::vector<uint64_t> done;
  std::vector<uint64_t> undone;
  for (const auto& waiting : waiting_) watch(*waiting, view, done, undone);
  for (uint64_t id : done) finish(id, Status::ok());
  for (uint64_t id : undone) {
    finish(id, Status(StatusCode::kConflict, "a later request asked for the opposite"));
  }
}

/// The view may be older than the command that is waited for.
void AdminOperations::watch(Waiting& waiting, const registry::RegistryView& view,
                            std::vector<uint64_t>& done, std::vector<uint64_t>& undone) {
  const registry::GroupRecord* group = view.group(waiting.group);
  if (waiting.what == For::kRemoval) {
    if (is_complete(view, waiting.group, waiting.member)) return done.push_back(waiting.id);
    const registry::MemberRecord* member = group ? group->member(waiting.member) : nullptr;
    if (member && member->leaving) waiting.seen_leaving = true;
    if (member && !member->leaving && waiting.seen_leaving) undone.push_back(waiting.id);
  } else if (waiting.what == For::kAddition) {
    const registry::MemberRecord* member =
        group ? group->member_on(waiting.member.node()) : nullptr;
    if (member && member->settled && member->replica >= waiting.member) {
      return done.push_back(waiting.id);
    }
    if (!member && view.is_removed(waiting.group, waiting.member)) undone.push_back(waiting.id);
  }
}

void AdminOperations::on_removed() {
  std::vector<uint64_t> complete;
  for (const auto& waiting : waiting_) {
    if (waiting->what == For::kRemoval && waiting->member.node() == context_.self) {
      complete.push_back(waiting->id);
    }
  }
  for (uint64_t id : complete) finish(id, Status::ok());
}

void AdminOperations::fail_all(const Status& status) {
  while (!waiting_.empty()) finish(waiting_.back()->id, status);
}

// -- A group's first leader.

void AdminOperations::on_leader(GroupId group) {
  std::vector<uint64_t> ids;
  for (const auto& waiting : waiting_) {
    if (waiting->group == group && waiting->what == For::kLeader) ids.push_back(waiting->id);
  }
  for (uint64_t id : ids) finish(id, Status::ok());
}

/// Asks one member after the other, this node first where it is one.
void AdminOperations::look_for_leader(uint64_t id) {
  Waiting* waiting = find(id);
  if (!waiting || std::exchange(waiting->looking, true)) return;
  const std::shared_ptr<const registry::RegistryView> view = context_.view();
  const registry::GroupRecord* record = view->group(waiting->group);
  if (!record || record->members.empty()) return looked(id, false);  // Not heard of it yet.
  if (record->member_on(context_.self)) {
    context_.host.status(
        waiting->group, context_.executor,
        context_.guard_posted([this, id](const Result<host::ReplicaStatus>& status) {
          looked(id, status && status->raft.soft_state.leader != raft::kNoReplica);
        }));
    return;
  }
  const registry::MemberRecord& member =
      record->members[waiting->next_member++ % record->members.size()];
  context_.host.ask(member.replica.node(), wire::RequestKind::kAdmin,
                    encode(AdminRequest(LeaderQuery{waiting->group})), context_.timing.election_ns,
                    context_.executor,
                    context_.guard_posted([this, id](const Result<SharedBytes>& answer) {
                      const Result<bool> known =
                          answer ? decode_leader_known(*answer) : Result<bool>(answer.status());
                      looked(id, known && *known);
                    }));
}

void AdminOperations::looked(uint64_t id, bool found) {
  Waiting* waiting = find(id);
  if (!waiting) return;
  waiting->looking = false;
  if (found) return finish(id, Status::ok());
  context_.after(kLookAgainNs, [this, id] { look_for_leader(id); });
}

}  // namespace multiraft::cluster
