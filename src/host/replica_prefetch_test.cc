// Commands whose application needs something from the disk: it is read in first, away from the
// worker, and the order stays.

#include <gtest/gtest.h>

#include "host/testing/one_group.h"

namespace multiraft::host::testing {
namespace {

class GroupPrefetchTest : public ReplicaTest {
 protected:
  /// The disk has answered.
  void finish_read() {
    ASSERT_FALSE(services_->blocking.empty());
    auto [work, done] = std::move(services_->blocking.front());
    services_->blocking.erase(services_->blocking.begin());
    work();
    done(group());
    run();
  }
};

TEST_F(GroupPrefetchTest, ColdKeys_AreReadBeforeTheirCommandsAreApplied) {
  create({1});
  run();
  const LogIndex before = state_.index;
  state_.cold = true;
  write(1, 10);
  EXPECT_EQ(state_.index, before);
  EXPECT_EQ(services_->blocking.size(), 1u);
  write(3, 10);
  EXPECT_EQ(state_.index, before) << "later entries do not overtake";
  EXPECT_EQ(services_->blocking.size(), 1u) << "one read of a group at a time";
  finish_read();
  EXPECT_EQ(state_.prefetched, 1);
  EXPECT_EQ(state_.index, log().last_index());
  EXPECT_TRUE(services_->blocking.empty());
}

TEST_F(GroupPrefetchTest, EntriesThatCameDuringARead_AreAskedForThemselves) {
  create({1});
  run();
  state_.cold = true;
  write(1, 10);
  const LogIndex first = log().last_index();
  write(1, 10);
  // Only what the read was for is applied, where the rest turns out to be cold too.
  auto done = std::move(services_->blocking.front().second);
  services_->blocking.clear();
  done(group());
  run();
  EXPECT_EQ(state_.index, first);
  ASSERT_EQ(services_->blocking.size(), 1u);
  finish_read();
  EXPECT_EQ(state_.index, log().last_index());
}

TEST_F(GroupPrefetchTest, Commands_BeyondWhatWasLookedUp_AreAskedForAfterIt) {
  create({1});
  run();
  state_.prefetch_max = 2;
  state_.batches.clear();
  write(5, 10);
  EXPECT_EQ(state_.index, log().last_index());
  EXPECT_EQ(state_.batches, (std::vector<size_t>{2, 2, 1}));
}

}  // namespace
}  // namespace multiraft::host::testing
