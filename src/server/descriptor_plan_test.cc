#include "server/descriptor_plan.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace multiraft::server {
namespace {

uint64_t planned(const DescriptorPlan& plan) {
  return static_cast<uint64_t>(plan.engine_files_max) + plan.raft_connections_max +
         plan.http_connections_max + plan.http_probes_max;
}

TEST(DescriptorPlan, AnyUsableLimit_LeavesDescriptorsForTheLog) {
  for (const uint64_t limit : {256u, 300u, 512u, 1'024u, 4'096u, 65'536u, 1'048'576u}) {
    for (const uint32_t workers : {1u, 2u, 8u}) {
      const DescriptorPlan plan = plan_for_descriptors(limit, workers);
      EXPECT_LE(planned(plan) + 32 + 12 * workers, limit) << limit << ", " << workers;
    }
  }
}

TEST(DescriptorPlan, AmpleLimit_AllowsTheMostConnections) {
  const DescriptorPlan plan = plan_for_descriptors(1'048'576, 16);
  EXPECT_EQ(plan.http_connections_max, limits::kHttpConnectionsMax);
  EXPECT_EQ(plan.http_probes_max, 256u);
}

TEST(DescriptorPlan, UsualLimit_ServesSomeHundredClients) {
  EXPECT_GT(plan_for_descriptors(1'024, 2).http_connections_max, 300u);
}

TEST(DescriptorPlan, AbsurdLimit_StillAllowsAFew) {
  const DescriptorPlan plan = plan_for_descriptors(32, 64);
  EXPECT_GE(plan.http_connections_max, 16u);
  EXPECT_GE(plan.http_probes_max, 8u);
}

}  // namespace
}  // namespace multiraft::server
