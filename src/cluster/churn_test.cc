// Random operations, kills, partitions, stale registries and wiped disks from one seed; then the
// cluster heals and must come to rest as the registry says.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cluster/testing/fake_cluster.h"
#include "cluster/testing/fake_host.h"
#include "registry/testing/commands.h"

namespace multiraft::cluster {
namespace {

using namespace testing;
using namespace registry::testing;

constexpr uint64_t kNodes = 6;

class Churn {
 public:
  explicit Churn(uint64_t seed) : cluster_(seed), random_(seed) {
    EXPECT_TRUE(cluster_.start(1, StartOptions{}));
    EXPECT_TRUE(cluster_.run_until([&] { return cluster_.ready(1); }));
    for (uint64_t id = 2; id <= 4; ++id) EXPECT_TRUE(cluster_.start(id, StartOptions{1}));
    EXPECT_TRUE(cluster_.run_until([&] { return cluster_.voters(1).size() == 4; }));
  }

  void disturb() {
    for (uint64_t id = 1; id <= kNodes; ++id) {
      if (cluster_.node(id).up && cluster_.node(id).removed) cluster_.kill(id);
    }
    const uint64_t id = random_.between(1, kNodes);
    FakeNode& node = cluster_.node(id);
    switch (random_.below(9)) {
      case 0:
        if (node.up) cluster_.kill(id);
        break;
      case 1:
      case 2:
        start(id);
        break;
      case 3:
        node.connected = random_.chance(0.5);
        break;
      case 4:
        node.receives = random_.chance(0.5);
        break;
      case 5:
        restart_with_an_old_registry(id);
        break;
      case 6:
        ask([&](Controller& controller) {
          controller.remove_member(GroupId(random_.between(1, 4)), NodeId(id), cluster_.caller(),
                                   [](const Status&) {});
        });
        break;
      case 7:
        ask([&](Controller& controller) {
          std::vector<NodeId> nodes;
          // Not on a wiped disk that nobody knows of yet: its founder would be lost before birth.
          for (uint64_t n = 1; n <= kNodes; ++n) {
            const bool there = cluster_.node(n).log.contains(registry::kRegistryGroup);
            if (there && random_.chance(0.5)) nodes.push_back(NodeId(n));
          }
          controller.create_group(GroupId(random_.between(1, 4)), nodes, cluster_.caller(),
                                  [](const Status&) {});
        });
        break;
      default:
        wipe_one_that_can_be_spared(id);
        break;
    }
    cluster_.run_for(static_cast<int64_t>(random_.below(3'000)) * env::kMillisecond);
  }

  void heal() {
    for (uint64_t id = 1; id <= kNodes; ++id) {
      FakeNode& node = cluster_.node(id);
      node.connected = node.receives = true;
      if (node.up && node.removed) cluster_.kill(id);
      // One that joins through a node that has left is started again with another.
      const bool joining = node.up && !node.log.contains(registry::kRegistryGroup);
      if (joining && random_.chance(0.01)) cluster_.kill(id);
      if (node.life > 0 && !node.removed) start(id);
    }
  }

  /// Every configuration is what the registry wants, and nodes host exactly what they should.
  bool at_rest() {
    const registry::RegistryView& view = committed();
    if (view.empty()) return false;
    for (const registry::GroupRecord* record : view.groups()) {
      std::vector<ReplicaId> voters;
      std::vector<ReplicaId> learners;
      for (const registry::MemberRecord& m : record->members) {
        if (m.leaving) return false;
        (m.voter ? voters : learners).push_back(m.replica);
      }
      const raft::ConfState& conf = cluster_.group(record->id.value).conf;
      if (conf.voters != voters || conf.learners != learners) return false;
      if (!conf.voters_outgoing.empty()) return false;
      for (const auto* ids : {&voters, &learners}) {
        for (ReplicaId replica : *ids) {
          const auto& log = cluster_.node(replica.node().value).log;
          const auto at = log.find(record->id);
          if (at == log.end() || at->second.replica != replica) return false;
        }
      }
    }
    return true;
  }

  std::string describe() {
    std::string text;
    for (uint64_t id = 1; id <= kNodes; ++id) {
      FakeNode& node = cluster_.node(id);
      text += "node " + std::to_string(id) + (node.up ? " up" : " down") +
              (node.removed ? " removed" : "") +
              (node.refused ? " refused: " + node.refused->message() : "") + " hosts";
      for (const auto& [group, stored] : node.log) {
        text += " " + to_string(group) + "/" + std::to_string(stored.replica.serial());
      }
      text += "\n";
      if (node.up) text += describe(*node.controller->view());
      for (size_t i = node.lines.size() > 6 ? node.lines.size() - 6 : 0; i < node.lines.size();
           ++i) {
        text += "    " + node.lines[i] + "\n";
      }
    }
    return text;
  }

  static std::string describe(const registry::RegistryView& view) {
    std::string text = "  registry " + to_string(view.version()) + ":";
    for (const registry::NodeRecord& node : view.nodes()) {
      text += " " + to_string(node.id) + (node.state == registry::NodeState::kLeaving ? "-" : "");
    }
    for (const registry::GroupRecord* group : view.groups()) {
      text += "; group " + to_string(group->id);
      for (const registry::MemberRecord& m : group->members) {
        text += " " + to_string(m.replica.node()) + "/" + std::to_string(m.replica.serial()) +
                (m.voter ? "" : "l") + (m.leaving ? "-" : "");
      }
    }
    return text + "\n";
  }

  FakeCluster& cluster() { return cluster_; }

 private:
  void start(uint64_t id) {
    FakeNode& node = cluster_.node(id);
    if (node.up) return;
    if (node.removed) cluster_.wipe(id);
    node.refused.reset();
    EXPECT_TRUE(cluster_.start(id, StartOptions{some_member_but(id), 1}));
  }

  uint64_t some_member_but(uint64_t id) {
    std::vector<uint64_t> members;
    for (uint64_t other = 1; other <= kNodes; ++other) {
      const FakeNode& node = cluster_.node(other);
      if (other != id && !node.removed && node.log.contains(registry::kRegistryGroup)) {
        members.push_back(other);
      }
    }
    return members.empty() ? id % kNodes + 1 : members[random_.below(members.size())];
  }

  void restart_with_an_old_registry(uint64_t id) {
    FakeNode& node = cluster_.node(id);
    if (node.up) cluster_.kill(id);
    const auto stored = node.log.find(registry::kRegistryGroup);
    if (stored != node.log.end() && stored->second.applied) {
      const uint64_t back = random_.below(stored->second.applied.value);
      stored->second.applied = LogIndex(stored->second.applied.value - back);
    }
    start(id);
  }

  template <class Ask>
  void ask(Ask question) {
    const uint64_t at = random_.between(1, kNodes);
    if (cluster_.node(at).up) question(*cluster_.node(at).controller);
  }

  /// A wiped disk costs a vote for good: only where a majority of every group remains.
  void wipe_one_that_can_be_spared(uint64_t id) {
    FakeNode& node = cluster_.node(id);
    for (const auto& [group, stored] : node.log) {
      const raft::ConfState& conf = cluster_.group(group.value).conf;
      if (!conf.voters_outgoing.empty()) return;
      size_t safe = 0;
      for (ReplicaId voter : conf.voters) {
        const auto& log = cluster_.node(voter.node().value).log;
        const auto at = log.find(group);
        if (voter.node() != node.id && at != log.end() && at->second.replica == voter) ++safe;
      }
      if (safe <= conf.voters.size() / 2) return;
    }
    // Also not before all founders of a new group are there.
    if (!at_rest()) return;
    cluster_.wipe(id);
    start(id);
  }

  /// The registry after all that is committed, whoever has heard of it.
  const registry::RegistryView& committed() {
    const auto& entries = cluster_.group(0).entries;
    for (; replayed_ < entries.size(); ++replayed_) {
      if (entries[replayed_].command.empty()) continue;
      registry_.apply(*registry::decode_command(entries[replayed_].command),
                      LogIndex(replayed_ + 2));
    }
    return registry_.state();
  }

  FakeCluster cluster_;
  Prng random_;
  registry::Registry registry_;
  size_t replayed_ = 0;
};

class ChurnTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(ChurnTest, AnyDisturbance_ThenHealed_ComesToRest) {
  Churn churn(GetParam());
  for (int i = 0; i < 60; ++i) churn.disturb();
  churn.heal();
  EXPECT_TRUE(churn.cluster().run_until(
      [&] {
        churn.heal();
        return churn.at_rest();
      },
      300 * env::kSecond))
      << churn.describe();
  EXPECT_THAT(churn.cluster().violations(), ::testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Seeds, ChurnTest, ::testing::Range<uint64_t>(1, 301));

}  // namespace
}  // namespace multiraft::cluster
