#include "host/flush_pacer.h"

#include <gtest/gtest.h>

#include "kv/kv_engine.h"

namespace multiraft::host {
namespace {

TEST(FlushPacer, ManyGroupsThatAsk_AreOneFlushPerInterval) {
  const auto one = kv::make_memory_engine();
  const auto other = kv::make_memory_engine();
  FlushPacer pacer;
  int flushes = 0;
  for (int64_t ms = 0; ms < 60'000; ++ms) {
    flushes += pacer.take(*one, {ms * env::kMillisecond}, false) ? 1 : 0;
  }
  EXPECT_EQ(flushes, 6);
  EXPECT_TRUE(pacer.take(*other, {60 * env::kSecond}, false)) << "engines are asked one by one";
  EXPECT_TRUE(pacer.take(*one, {60 * env::kSecond}, false));
  EXPECT_FALSE(pacer.take(*one, {61 * env::kSecond}, true));
  EXPECT_TRUE(pacer.take(*one, {62 * env::kSecond}, true)) << "sooner while the disk is low";
}

}  // namespace
}  // namespace multiraft::host
