#include "registry/machine.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <array>

#include "base/prng.h"
#include "registry/testing/commands.h"

namespace multiraft::registry {
namespace {

using namespace testing;

/// One replica of group 0's state machine, as a host would drive it.
class Machine {
 public:
  Machine() : machine_(std::move(*engine_.open(kRegistryGroup))) {}

  ApplyResult apply(std::string_view bytes) {
    const Command command{index_ + 1, Term(1), bytes};
    ApplyResult result;
    EXPECT_TRUE(
        machine_->apply(std::span(&command, 1), index_ + 1, Term(1), std::span(&result, 1)));
    ++index_;
    return result;
  }
  RegistryOutcome apply(const RegistryCommand& command) {
    return *decode_outcome(apply(encode_command(command).view()));
  }
  std::vector<std::string> snapshot(size_t bytes_target) {
    auto reader = std::move(*machine_->snapshot());
    EXPECT_EQ(reader->applied_index(), index_);
    std::vector<std::string> chunks;
    for (std::string chunk;;) {
      EXPECT_TRUE(reader->next(bytes_target, chunk));
      if (chunk.empty()) return chunks;
      chunks.push_back(chunk);
    }
  }
  Status restore(const std::vector<std::string>& chunks, LogIndex index) {
    auto writer = std::move(*machine_->restore(index, Term(4)));
    for (const std::string& chunk : chunks) MR_RETURN_IF_ERROR(writer->append(chunk));
    MR_RETURN_IF_ERROR(writer->finish());
    index_ = index;
    return Status::ok();
  }
  StateMachine& operator*() { return *machine_; }
  RegistryEngine& engine() { return engine_; }
  LogIndex index() const { return index_; }

 private:
  RegistryEngine engine_;
  std::unique_ptr<StateMachine> machine_;
  LogIndex index_{1};
};

RegistryCommand random_command(Prng& random) {
  const uint64_t node = random.between(1, 6);
  const uint64_t group = random.between(0, 4);
  const ReplicaId replica =
      ReplicaId::make(NodeId(node), static_cast<uint32_t>(random.between(1, 40)));
  switch (random.below(11)) {
    case 0:
      return bootstrap(node, group);
    case 1:
      return join(node, group, random.between(1, 2), uuid_of(node, random.between(1, 2)));
    case 2:
      return join(node, group, random.between(1, 2));
    case 3:
      return create(group, {node, random.between(1, 6), random.between(1, 6)});
    case 4:
      return AddMember{GroupId(group), NodeId(node), random.chance(0.5)};
    case 5:
      return remove(group, node);
    case 6:
      return ReplicaRemoved{GroupId(group), replica};
    case 7:
      return SetRole{GroupId(group), replica, random.chance(0.5)};
    case 8:
      return SetRegistryVoters{{replica}};
    case 9:
      return RaiseClusterVersion{static_cast<uint32_t>(random.below(4))};
    default:
      return random.chance(0.5) ? RegistryCommand(MarkNodeLeaving{NodeId(node)})
                                : RegistryCommand(UpdateNode{NodeId(node), uuid_of(node),
                                                             raft_of(random.below(9)), "x:1"});
  }
}

/// What must hold after every command, whatever the commands were.
void check(const RegistryView& view) {
  std::vector<uint32_t> serials;
  for (const GroupRecord* group : view.groups()) {
    size_t voters = 0;
    std::vector<NodeId> staying;
    for (const MemberRecord& m : group->members) {
      RC_ASSERT(m.replica.serial() < view.next_serial());
      serials.push_back(m.replica.serial());
      if (m.leaving) continue;
      RC_ASSERT(view.node(m.replica.node()) != nullptr);
      RC_ASSERT(std::find(staying.begin(), staying.end(), m.replica.node()) == staying.end());
      staying.push_back(m.replica.node());
      if (m.voter) ++voters;
    }
    // Who is to vote in group 0 after its only voter is up to its leader.
    if (group->id != kRegistryGroup) RC_ASSERT(voters > 0);
  }
  std::sort(serials.begin(), serials.end());
  RC_ASSERT(std::adjacent_find(serials.begin(), serials.end()) == serials.end());
  RC_ASSERT(view.cluster_version() >= 1);
  for (const NodeRecord& node : view.nodes()) {
    RC_ASSERT(node.versions.contains(view.cluster_version()));
    const GroupRecord& registry = *view.group(kRegistryGroup);
    RC_ASSERT(std::any_of(registry.members.begin(), registry.members.end(),
                          [&](const auto& m) { return m.replica.node() == node.id; }));
    RC_ASSERT(node.state == NodeState::kLeaving || !view.groups_of(node.id).empty());
    RC_ASSERT(view.group_count_of(node.id) == view.groups_of(node.id).size());
  }
}

RC_GTEST_PROP(RegistryMachine, TwoReplicas_AnyCommands_StayEqualAndSensible, (uint64_t seed)) {
  Prng random(seed);
  Machine one;
  Machine two;
  for (int i = 0; i < 120; ++i) {
    const SharedBytes command = encode_command(random_command(random));
    const ApplyResult a = one.apply(command.view());
    const ApplyResult b = two.apply(command.view());
    RC_ASSERT(a.code == b.code && a.data == b.data);
    RC_ASSERT(one.engine().commit(0).is_ok());
    RC_ASSERT(two.engine().commit(0).is_ok());
    if (!one.engine().view()->empty()) check(*one.engine().view());
  }
  RC_ASSERT(*(*one).hash() == *(*two).hash());
  // A third one from the snapshot is equal too, and goes on equally.
  Machine three;
  RC_ASSERT(three.restore(one.snapshot(random.between(1, 300)), one.index()).is_ok());
  RC_ASSERT((*three).applied_index() == one.index());
  const SharedBytes next = encode_command(random_command(random));
  RC_ASSERT(one.apply(next.view()).data == three.apply(next.view()).data);
  RC_ASSERT(*(*one).hash() == *(*three).hash());
}

TEST(RegistryMachine, Applied_IsVisibleOnlyAfterCommit) {
  Machine machine;
  machine.apply(bootstrap());
  EXPECT_TRUE(machine.engine().view()->empty());
  EXPECT_TRUE(machine.engine().commit(0));
  EXPECT_EQ(machine.engine().view()->cluster(), kCluster);
}

TEST(RegistryMachine, MalformedCommand_IsRefusedNotFatal) {
  Machine machine;
  machine.apply(bootstrap());
  for (const std::string& bytes : {std::string(), std::string("x"), std::string("\1\1")}) {
    EXPECT_TRUE((*machine).check(bytes));
    EXPECT_EQ(machine.apply(bytes).code, static_cast<uint64_t>(RegistryCode::kInvalid));
  }
  EXPECT_EQ((*machine).applied_index(), machine.index());
}

TEST(RegistryMachine, UnknownCommand_IsForANewerProgram) {
  Machine machine;
  EXPECT_TRUE((*machine).check(encode_command(bootstrap()).view()));
  for (const std::string_view bytes : {"\2\1", "\1\x63"}) {
    EXPECT_EQ((*machine).check(bytes).code(), StatusCode::kUnsupported);
  }
}

TEST(RegistryMachine, Snapshot_TakenBeforeLaterCommands_ShowsNoneOfThem) {
  Machine machine;
  machine.apply(bootstrap());
  auto reader = std::move(*(*machine).snapshot());
  const LogIndex taken_at = machine.index();
  machine.apply(join(2));
  EXPECT_EQ(reader->applied_index(), taken_at);
  std::string all;
  for (std::string chunk;;) {
    ASSERT_TRUE(reader->next(64, chunk));
    if (chunk.empty()) break;
    all += chunk;
  }
  Machine other;
  ASSERT_TRUE(other.restore({all}, taken_at));
  EXPECT_EQ(other.engine().view()->nodes().size(), 1u);
}

TEST(RegistryMachine, RestoreOfGarbage_FailsAndKeepsTheState) {
  Machine machine;
  machine.apply(bootstrap());
  const uint64_t before = *(*machine).hash();
  EXPECT_EQ(machine.restore({std::string("\0\0\0\0garbage", 11)}, LogIndex(9)).code(),
            StatusCode::kCorruption);
  EXPECT_EQ(*(*machine).hash(), before);
  EXPECT_EQ((*machine).applied_index(), machine.index());
}

TEST(RegistryMachine, Restored_IsPublishedAtOnce) {
  Machine source;
  source.apply(bootstrap());
  Machine target;
  ASSERT_TRUE(target.restore(source.snapshot(1000), LogIndex(50)));
  EXPECT_EQ(target.engine().view()->cluster(), kCluster);
  EXPECT_EQ((*target).applied_term(), Term(4));
}

TEST(RegistryEngine, OtherGroups_AreRefused) {
  RegistryEngine engine;
  EXPECT_FALSE(engine.open(GroupId(1)));
}

TEST(RegistryEngine, Destroyed_ShowsAnEmptyRegistry) {
  RegistryEngine engine;
  {
    auto machine = std::move(*engine.open(kRegistryGroup));
    const SharedBytes bytes = encode_command(bootstrap());
    const Command command{LogIndex(2), Term(1), bytes.view()};
    ApplyResult result;
    ASSERT_TRUE(
        machine->apply(std::span(&command, 1), LogIndex(2), Term(1), std::span(&result, 1)));
    ASSERT_TRUE(engine.commit(0));
  }
  EXPECT_FALSE(engine.view()->empty());
  ASSERT_TRUE(engine.destroy(std::array{kRegistryGroup}));
  EXPECT_TRUE(engine.view()->empty());
}

}  // namespace
}  // namespace multiraft::registry
