#include "transport/messages/send_budget.h"

#include <gtest/gtest.h>

namespace multiraft::transport {
namespace {

TEST(SendBudget, OneQueue_GetsHalf_AndTheNextHalfOfTheRest) {
  SendBudget budget(1000);
  size_t first = 0, second = 0;
  while (budget.admits(first, 10)) first += 10, budget.take(10);
  while (budget.admits(second, 10)) second += 10, budget.take(10);
  EXPECT_EQ(first, 500u);
  EXPECT_EQ(second, 250u);
  EXPECT_TRUE(budget.admits(0, 10));
}

TEST(SendBudget, EmptyQueue_TakesOneLargeRecord_WhileSomethingIsFree) {
  SendBudget budget(100);
  EXPECT_TRUE(budget.admits(0, 5000));
  budget.take(5000);
  EXPECT_FALSE(budget.admits(0, 1));
  budget.give_back(5000);
  EXPECT_TRUE(budget.admits(0, 1));
}

}  // namespace
}  // namespace multiraft::transport
