// Bits of a small log are flipped, byte by byte: each flip is either detected or harmless, never
// silently wrong.

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "log/test_support.h"

namespace multiraft::log {
namespace {

/// A log with every type of record, in two segments and a prepared one.
void write_small_log(LogHarness& h) {
  h.options.segment_bytes = 32 * 1024;
  h.options.cache_bytes = 0;
  ASSERT_TRUE(h.open());
  h.create(1);
  h.create(2, 5, snapshot_at(10, 2));
  h.append(1, 1, 6, 1, 300);
  h.append(2, 11, 3, 2, 100);
  h.settle();
  h.save_state(1, {Term(4), ReplicaId(2), LogIndex(3)});
  h.append(1, 5, 3, 4, 500);
  h.announce(2, snapshot_at(20, 3));
  h.settle();
  h.create(3);
  h.compact(1, 3);
  h.install(2, snapshot_at(20, 3));
  h.append(1, 8, 3, 4, 3000);
  h.settle();
  h.remove(3);
  h.append(1, 11, 4, 4, 2500);
  h.settle();
}

struct Verdict {
  uint64_t detected = 0;
  uint64_t harmless = 0;
  uint64_t cut = 0;
};

/// Opens a copy of `disk` with one bit flipped. Empty, or what is silently wrong.
std::string flip_and_open(const env::SimFileSystem& disk, const LogHarness& original,
                          const std::string& path, uint64_t offset, unsigned bit, Verdict& verdict,
                          const Model& expected) {
  LogHarness h(offset + 1);
  h.options = original.options;
  h.env().set_disk(disk.crash_image(env::CrashMode::kKeepAll, 1));
  if (!h.env().disk().flip_bit(path, offset, bit)) return "cannot flip";
  Status opened = h.open();
  if (!opened) {
    ++verdict.detected;
    return opened.code() == StatusCode::kCorruption ? "" : opened.to_string();
  }
  Result<Model> read = read_model(h.log());
  if (!read) {
    ++verdict.detected;
    return read.status().code() == StatusCode::kCorruption ? "" : read.status().to_string();
  }
  const std::string wrong = difference(expected, *read);
  if (wrong.empty()) ++verdict.harmless;
  return wrong;
}

/// MULTIRAFT_FLIP_ALL_BITS: eight flips a byte instead of one.
bool all_bits() { return std::getenv("MULTIRAFT_FLIP_ALL_BITS") != nullptr; }

Verdict flip_everything(LogHarness& h, const Model& expected) {
  Verdict verdict;
  auto image = h.env().disk().crash_image(env::CrashMode::kKeepAll, 1);
  for (const std::string& name : h.segment_files()) {
    const std::string path = "/log/" + name;
    for (uint64_t at = 0; at < h.options.segment_bytes; ++at) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        if (!all_bits() && bit != at % 8) continue;
        const std::string wrong = flip_and_open(*image, h, path, at, bit, verdict, expected);
        EXPECT_EQ(wrong, "") << path << " byte " << at << " bit " << bit;
        if (!wrong.empty()) return verdict;
      }
    }
  }
  return verdict;
}

TEST(Log_BitFlip, AnywhereInALogThatWasClosed_IsDetectedOrHarmless) {
  LogHarness h;
  write_small_log(h);
  h.close();
  const Verdict verdict = flip_everything(h, h.model());
  EXPECT_GT(verdict.detected, 5'000u);
  EXPECT_GT(verdict.harmless, 5'000u);
}

TEST(Log_BitFlip, AnywhereInALogThatIsIdle_IsDetectedOrHarmless) {
  // The process is killed while nothing happens: the synced mark of the idle log covers all.
  LogHarness h;
  write_small_log(h);
  const Verdict verdict = flip_everything(h, h.model());
  EXPECT_GT(verdict.detected, 5'000u);
}

}  // namespace
}  // namespace multiraft::log
