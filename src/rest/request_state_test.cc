#include "rest/request_state.h"

#include <gtest/gtest.h>

namespace multiraft::rest {
namespace {

TEST(RequestState, Cleared_IsAsNewAndGivesLargeFieldsBack) {
  RequestState state;
  state.group = GroupId(7);
  state.if_match = std::string(16'000, 'a');
  state.if_none_match = std::string(16'000, 'b');
  state.wants_etag = true;
  state.clear();
  EXPECT_FALSE(state.group.has_value());
  EXPECT_TRUE(state.if_match.empty());
  EXPECT_TRUE(state.if_none_match.empty());
  EXPECT_FALSE(state.wants_etag);
  EXPECT_LE(state.if_match.capacity() + state.if_none_match.capacity(), 2'048u)
      << "exchanges are kept for reuse, and nothing counts what they hold";
}

}  // namespace
}  // namespace multiraft::rest
