#include "service/redirect_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace multiraft::service {
namespace {

using testing::ElementsAre;

constexpr env::MonotonicTime kNow{100 * env::kSecond};

nodes::Contact alive() {
  nodes::Contact contact;
  contact.connected = true;
  contact.last_heard = env::MonotonicTime{kNow.ns - 100 * env::kMillisecond};
  return contact;
}
nodes::Contact failed(int64_t ago_ns) {
  nodes::Contact contact;
  contact.last_failed = env::MonotonicTime{kNow.ns - ago_ns};
  return contact;
}

class RedirectOrder : public ::testing::Test {
 protected:
  std::vector<uint64_t> order(uint64_t turn = 0, uint64_t leader = 0) {
    std::vector<MemberAddress> members;
    for (const auto& [node, contact] : contacts_) members.push_back({NodeId(node), ":1"});
    std::vector<uint64_t> ids;
    for (const auto& member : order_for_redirect(
             members, [this](NodeId node) { return contacts_[node.value]; }, kNow, turn,
             NodeId(leader))) {
      ids.push_back(member.node.value);
    }
    return ids;
  }
  std::map<uint64_t, nodes::Contact> contacts_;
};

TEST_F(RedirectOrder, LiveMember_GoesFirst_AndDeadOneNowhere) {
  contacts_ = {{1, failed(env::kSecond)}, {2, {}}, {3, alive()}};
  EXPECT_THAT(order(), ElementsAre(3, 2));
}

TEST_F(RedirectOrder, Equals_TakeTurns) {
  contacts_ = {{1, alive()}, {2, alive()}, {3, {}}};
  EXPECT_THAT(order(0), ElementsAre(1, 2, 3));
  EXPECT_THAT(order(1), ElementsAre(2, 1, 3));
}

TEST_F(RedirectOrder, FailureOfLongAgo_IsTriedLast) {
  contacts_ = {{1, failed(60 * env::kSecond)}, {2, {}}};
  EXPECT_THAT(order(), ElementsAre(2, 1));
}

TEST_F(RedirectOrder, ConnectedButSilent_IsNotKnownToBeAlive) {
  nodes::Contact silent = alive();
  silent.last_heard = env::MonotonicTime{kNow.ns - 30 * env::kSecond};
  contacts_ = {{1, silent}, {2, alive()}};
  EXPECT_THAT(order(), ElementsAre(2, 1));
}

TEST_F(RedirectOrder, Leader_GoesFirst_UnlessItIsDeadOrNoMember) {
  contacts_ = {{1, alive()}, {2, alive()}, {3, {}}};
  EXPECT_THAT(order(0, 2), ElementsAre(2, 1, 3));
  EXPECT_THAT(order(1, 3), ElementsAre(3, 2, 1));
  EXPECT_THAT(order(0, 9), ElementsAre(1, 2, 3));
  contacts_[2] = failed(env::kSecond);
  EXPECT_THAT(order(0, 2), ElementsAre(1, 3));
}

TEST_F(RedirectOrder, AllDead_IsNobody) {
  contacts_ = {{1, failed(env::kSecond)}, {2, failed(2 * env::kSecond)}};
  EXPECT_THAT(order(), ElementsAre());
}

}  // namespace
}  // namespace multiraft::service
