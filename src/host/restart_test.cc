// A process that ends and starts again within the time in which others still remember what it
// asked, leases of leaders that others cannot reach, and what arrives damaged. Whole hosts on
// simulated machines.

#include <gtest/gtest.h>

#include "host/testing/sim_hosts.h"

namespace multiraft::host::testing {
namespace {

constexpr uint64_t kSeeds = 12;

HostOptions with_leases() {
  HostOptions options;
  options.leases = true;
  return options;
}

// trap 15. A leader keeps a forwarded write for the request timeout, and answers it when it is
// committed at last: by then another process asks under the same node's name.
TEST(Restart, ForwardedWrite_OfTheNextProcess_IsNotAcknowledgedByTheAnswerToAnEarlierOne) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SimHosts s(seed);
    const size_t leader = 0, asker = 1, other = 2;
    ASSERT_TRUE(s.put(leader, "k", "v").is_ok());
    s.pass(SimHosts::kElectionNs);
    s.crash(other);
    // The entry of the first write cannot be committed.
    s.network().set_cut(SimHosts::name(leader), SimHosts::name(asker), true);
    const LogIndex before = s.status(leader).last_index;
    const auto first = s.start_write(asker, kv::encode_put("first", "1"));
    if (!s.until([&] { return s.status(leader).last_index > before; }, env::kSecond / 4)) continue;
    s.crash(asker);
    s.network().mend_all();
    s.start(asker);
    const auto second = s.start_write(asker, kv::encode_put("second", "2"));
    if (!s.until([&] { return second->has_value(); }, 4 * env::kSecond)) continue;
    if (!(*second)->status.is_ok()) continue;
    EXPECT_NE((*second)->index, before + 1) << "acknowledged with the index of the first write";
    // What was acknowledged outlives its leader and a power failure of the member that asked.
    s.crash(leader);
    s.crash(asker, env::CrashMode::kKeepNone);
    s.start(asker);
    s.start(other);
    EXPECT_EQ(s.get(asker, "second"), "2");
  }
}

// trap 15
TEST(Restart, Read_OfTheNextProcess_IsNotConfirmedByARoundFromBeforeIt) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SimHosts s(seed);
    const size_t leader = 0, asker = 1, other = 2;
    ASSERT_TRUE(s.put(leader, "x", "old").is_ok());
    s.pass(SimHosts::kElectionNs + SimHosts::kHeartbeatNs / 20);
    s.network().set_cut(SimHosts::name(leader), SimHosts::name(asker), true);
    s.network().set_cut(SimHosts::name(leader), SimHosts::name(other), true);
    const auto unanswered = s.start_read(asker, "x");
    s.pass(2 * env::kMillisecond);  // The leader's round of heartbeats is under way, and is lost.
    s.crash(asker);
    s.network().mend_all();
    s.network().break_connections(SimHosts::name(leader), SimHosts::name(other));
    const auto write = s.start_write(leader, kv::encode_put("x", "new"));
    if (!s.until([&] { return write->has_value(); }, 60 * env::kMillisecond)) continue;
    if (!(*write)->status.is_ok()) continue;
    s.start(asker);
    s.machine(asker).set_paused("log-0", true);  // It has not applied the write yet.
    const auto read = s.start_read(asker, "x");
    s.until([&] { return read->has_value(); }, env::kSecond);
    s.machine(asker).set_paused("log-0", false);
    if (read->has_value()) {
      EXPECT_EQ(**read, "new");
    }
  }
}

TEST(Lease, Leader_ThatStoodStill_DoesNotServeFromALeaseThatRanOutMeanwhile) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SimHosts s(seed, with_leases());
    ASSERT_TRUE(s.put(0, "x", "old").is_ok());
    s.pass(SimHosts::kElectionNs);
    ASSERT_EQ(s.get(0, "x", ReadMode::kLease), "old");
    s.set_paused(0, true);
    s.cut(0, 1, true);  // What was sent to it stays on the way, as when a machine is moved.
    s.cut(0, 2, true);
    ASSERT_TRUE(s.until([&] { return s.leads(1) || s.leads(2); }));
    ASSERT_TRUE(s.put(s.leads(1) ? 1 : 2, "x", "new").is_ok());
    s.set_paused(0, false);
    for (int i = 0; i < 20; ++i) {
      const auto read = s.start_read(0, "x", ReadMode::kLease);
      s.pass(10 * env::kMillisecond);
      EXPECT_FALSE(read->has_value()) << "served by itself: " << **read;
    }
    s.network().mend_all();
    EXPECT_EQ(s.get(0, "x", ReadMode::kLease), "new");
  }
}

TEST(Lease, Member_ThatRestarts_DoesNotElectAnotherLeaderWithinItsPromise) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SimHosts s(seed, with_leases());
    const size_t leader = 0, member = 1, other = 2;
    ASSERT_TRUE(s.put(leader, "x", "old").is_ok());
    s.cut(leader, other, true);
    s.pass(2 * SimHosts::kElectionNs);  // Would lead if anybody voted for it.
    ASSERT_TRUE(s.leads(leader));
    ASSERT_EQ(s.get(leader, "x", ReadMode::kLease), "old");
    s.cut(leader, member, true);
    s.crash(member);
    s.start(member);
    const auto write = s.start_write(member, kv::encode_put("x", "new"));
    for (int i = 0; i < 400; ++i) {
      s.pass(10 * env::kMillisecond);
      const bool acknowledged = write->has_value();
      const auto read = s.start_read(leader, "x", ReadMode::kLease);
      s.pass(env::kMillisecond);
      if (acknowledged && read->has_value()) {
        EXPECT_NE(**read, "old");
      }
    }
    ASSERT_TRUE(write->has_value());
    EXPECT_TRUE((*write)->status.is_ok()) << (*write)->status.to_string();
  }
}

// The mode is that of the request: a lease of the node does not weaken what was asked for.
TEST(Lease, LinearizableRead_OfALeaderThatReachesNobody_IsNotServed) {
  SimHosts s(1, with_leases());
  ASSERT_TRUE(s.put(0, "x", "old").is_ok());
  s.pass(SimHosts::kElectionNs);
  s.cut(0, 1, true);
  s.cut(0, 2, true);
  const auto by_lease = s.start_read(0, "x", ReadMode::kLease);
  const auto confirmed = s.start_read(0, "x", ReadMode::kLinearizable);
  s.pass(50 * env::kMillisecond);
  EXPECT_TRUE(by_lease->has_value());
  EXPECT_FALSE(confirmed->has_value());
}

TEST(Lease, LeaseRead_OfGroupZero_IsConfirmedByARound) {
  for (const GroupId group : {GroupId(0), SimHosts::kGroup}) {
    SimHosts s(1, with_leases(), group);
    ASSERT_TRUE(s.put(0, "x", "old").is_ok());
    s.pass(SimHosts::kElectionNs);
    ASSERT_EQ(s.get(0, "x", ReadMode::kLease), "old");
    s.cut(0, 1, true);
    s.cut(0, 2, true);
    const auto read = s.start_read(0, "x", ReadMode::kLease);
    s.pass(SimHosts::kHeartbeatNs / 2);
    EXPECT_EQ(read->has_value(), group != GroupId(0)) << "group " << to_string(group);
  }
}

TEST(Lease, LeaseRead_WithoutPromises_IsConfirmedByARound) {
  SimHosts s(1);
  ASSERT_TRUE(s.put(0, "x", "old").is_ok());
  s.pass(SimHosts::kElectionNs);
  EXPECT_EQ(s.get(0, "x", ReadMode::kLease), "old");
  s.cut(0, 1, true);
  s.cut(0, 2, true);
  const auto read = s.start_read(0, "x", ReadMode::kLease);
  s.pass(50 * env::kMillisecond);
  EXPECT_FALSE(read->has_value());
}

// trap 27. Who decided on the change had read a registry that may be old by now.
TEST(Membership, ChangeThatWasDecidedInAnotherTerm_IsRefused) {
  SimHosts s(1);
  raft::ConfChange change;
  change.changes = {{raft::ConfChangeOp::kRemove, ReplicaId::make(NodeId(3), 1)}};
  std::optional<Status> answer;
  s.host(0).change_membership(SimHosts::kGroup, s.status(0).raft.hard_state.term - 1, change,
                              s.host(0).executor(0),
                              [&](Status status) { answer = std::move(status); });
  ASSERT_TRUE(s.until([&] { return answer.has_value(); }));
  EXPECT_EQ(answer->code(), StatusCode::kNotLeader);
}

// trap 38. What changed in the memory of another node comes in an intact frame: it must not reach
// the core, whose log ends the process over an entry that fails its checksum.
TEST(Arrival, EntryThatFailsItsChecksum_IsRefusedByTheMemberThatGetsIt) {
  SimHosts s(1);
  ASSERT_TRUE(s.put(0, "x", "old").is_ok());
  s.pass(SimHosts::kElectionNs);
  const ReplicaStatus leader = s.status(0);
  raft::Message append;
  append.type = raft::MessageType::kApp;
  append.from = leader.raft.id;
  append.to = ReplicaId::make(NodeId(2), 1);
  append.term = leader.raft.hard_state.term;
  append.log_term = append.term;
  append.index = leader.last_index;
  append.entries.push_back({append.term, append.index + 1, raft::EntryType::kNormal,
                            kv::encode_put("x", "changed"), 12'345});
  s.host(0).executor(0).post([&] {
    EXPECT_TRUE(s.host(0).transport().worker(0).send(NodeId(2), {SimHosts::kGroup, append}));
  });
  s.pass(2 * SimHosts::kHeartbeatNs);
  EXPECT_EQ(s.stats(1).checksum_failures, 1U);
  EXPECT_EQ(s.status(1).last_index, leader.last_index);
  EXPECT_TRUE(s.put(1, "x", "new").is_ok());
}

TEST(Arrival, ForwardedWriteThatFailsItsChecksum_IsRefusedByTheLeader) {
  SimHosts s(1);
  ASSERT_TRUE(s.put(0, "x", "old").is_ok());
  s.host(1).executor(0).post([&] {
    wire::Request write;
    write.id = 1;
    write.kind = wire::RequestKind::kPropose;
    write.group = SimHosts::kGroup;
    write.payload = kv::encode_put("x", "changed");
    write.checksum = 12'345;
    EXPECT_TRUE(s.host(1).transport().worker(0).send(NodeId(1), std::move(write)));
  });
  s.pass(2 * SimHosts::kHeartbeatNs);
  EXPECT_EQ(s.stats(0).checksum_failures, 1U);
  EXPECT_EQ(s.get(0, "x"), "old");
}

}  // namespace
}  // namespace multiraft::host::testing
