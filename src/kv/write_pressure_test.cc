#include "kv/write_pressure.h"

#include <gtest/gtest.h>

namespace multiraft::kv {
namespace {

using P = WritePressure;

TEST(WritePressure, Level0Files_RefuseBeforeRocksDBStops_WithADistance) {
  WritePressure pressure;
  EXPECT_FALSE(pressure.high());
  pressure.update(P::kFilesHigh - 1, 0);
  EXPECT_FALSE(pressure.high());
  pressure.update(P::kFilesHigh, 0);
  EXPECT_TRUE(pressure.high());
  pressure.update(P::kFilesLow, 0);
  EXPECT_TRUE(pressure.high());
  pressure.update(P::kFilesLow - 1, 0);
  EXPECT_FALSE(pressure.high());
}

TEST(WritePressure, PendingBytes_CountAsWell) {
  WritePressure pressure;
  pressure.update(0, P::kPendingHigh);
  EXPECT_TRUE(pressure.high());
  pressure.update(0, P::kPendingLow);
  EXPECT_TRUE(pressure.high());
  pressure.update(0, P::kPendingLow - 1);
  EXPECT_FALSE(pressure.high());
}

}  // namespace
}  // namespace multiraft::kv
