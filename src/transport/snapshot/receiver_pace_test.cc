#include "transport/snapshot/receiver_pace.h"

#include <gtest/gtest.h>

namespace multiraft::transport {
namespace {

constexpr int64_t kSecond = env::kSecond;

TEST(ReceiverPace, Receiver_ThatTakesLittleWhileItIsWaitedFor_IsTooSlow) {
  ReceiverPace pace;
  pace.waits(true, {0});
  pace.took(29 * limits::kSnapshotRateMin);
  EXPECT_FALSE(pace.too_slow({29 * kSecond})) << "not judged yet";
  EXPECT_TRUE(pace.too_slow({30 * kSecond}));
  // The next window has its own bytes.
  pace.took(31 * limits::kSnapshotRateMin);
  EXPECT_FALSE(pace.too_slow({60 * kSecond}));
  EXPECT_TRUE(pace.too_slow({90 * kSecond}));
}

TEST(ReceiverPace, Stream_HeldUpByTheNodesRate_IsNotTheReceiversFault) {
  ReceiverPace pace;
  for (int64_t s = 0; s < 600; ++s) {
    pace.waits(false, {s * kSecond});
    EXPECT_FALSE(pace.too_slow({s * kSecond}));
    pace.waits(true, {s * kSecond + kSecond * 9 / 10});
    pace.took(limits::kSnapshotRateMin / 10 + 1);
  }
}

TEST(ReceiverPace, NewConnection_StartsFromNothing) {
  ReceiverPace pace;
  pace.waits(true, {0});
  pace.reset();
  pace.waits(true, {100 * kSecond});
  EXPECT_FALSE(pace.too_slow({110 * kSecond}));
}

}  // namespace
}  // namespace multiraft::transport
