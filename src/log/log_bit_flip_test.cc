// Bits of a small log are flipped, byte by byte: each flip is either detected or harmless, never
// silently wrong.

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "log/testing/simulated_log.h"

namespace multiraft::log {
namespace {

/// A log with every type of record, in several segments and a prepared one.
void write_small_log(LogHarness& h) {
  h.options.segment_bytes = 24 * 1024;
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
  uint64_t flips = 0;
  uint64_t detected = 0;
  uint64_t harmless = 0;
};

/// MULTIRAFT_CRASH_FULL: eight flips a byte instead of one.
bool all_bits() { return std::getenv("MULTIRAFT_CRASH_FULL") != nullptr; }

/// Opens the log and reads all of it, and waits for the verification of what was opened by footers.
Result<Model> open_and_read(LogHarness& h) {
  MR_RETURN_IF_ERROR(h.open_unchecked());
  Result<Model> read = read_model(h.log());
  h.env().run_until_idle();
  if (!h.fatal()) return h.fatal();
  return read;
}

/// Flips bits in copies of the log that `h` has left behind; what opens has to be `expected`, or,
/// where the end of the log may be torn, to satisfy `h`'s history.
class Flipper {
 public:
  Flipper(LogHarness& h, bool torn_end)
      : original_(h), torn_end_(torn_end), image_(h.env().disk().crash_image(kKept, 1)) {}

  void flip_everything() {
    for (const std::string& name : original_.segment_files()) {
      for (uint64_t at = 0; at < original_.options.segment_bytes; ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
          if (!all_bits() && bit != at % 8) continue;
          const std::string wrong = flip("/log/" + name, at, bit);
          ASSERT_EQ(wrong, "") << name << " byte " << at << " bit " << bit;
        }
      }
    }
    printf("%llu flips: %llu detected, %llu harmless\n",
           static_cast<unsigned long long>(verdict.flips),
           static_cast<unsigned long long>(verdict.detected),
           static_cast<unsigned long long>(verdict.harmless));
  }

  Verdict verdict;

 private:
  static constexpr env::CrashMode kKept = env::CrashMode::kKeepAll;

  /// Empty, or what is silently wrong.
  std::string flip(const std::string& path, uint64_t offset, unsigned bit) {
    LogHarness h(offset + 1);
    h.options = original_.options;
    h.env().set_disk(image_->crash_image(kKept, 1));
    if (!h.env().disk().flip_bit(path, offset, bit)) return "cannot flip";
    ++verdict.flips;
    Result<Model> read = open_and_read(h);
    if (!read) {
      ++verdict.detected;
      return read.status().code() == StatusCode::kCorruption ? "" : read.status().to_string();
    }
    const std::string wrong =
        torn_end_ ? original_.differs_from_history(*read) : difference(original_.model(), *read);
    if (wrong.empty()) ++verdict.harmless;
    return wrong;
  }

  LogHarness& original_;
  const bool torn_end_;
  std::unique_ptr<env::SimFileSystem> image_;
};

TEST(Log_BitFlip, AnywhereInALogThatWasClosed_IsDetectedOrHarmless) {
  LogHarness h;
  write_small_log(h);
  h.append(1, 15, 2, 5, 700);  // Written by close(), with a batch behind it that says so.
  h.close();
  ASSERT_GE(h.segment_files().size(), 3u);  // One at least was opened by its footer.
  Flipper flipper(h, false);
  flipper.flip_everything();
  EXPECT_GT(flipper.verdict.detected, 5'000u);
  EXPECT_GT(flipper.verdict.harmless, 5'000u);
}

TEST(Log_BitFlip, AnywhereInALogThatIsIdle_IsDetectedOrHarmless) {
  // The process is killed while nothing happens: the synced mark of the idle log covers all.
  LogHarness h;
  write_small_log(h);
  Flipper flipper(h, false);
  flipper.flip_everything();
  EXPECT_GT(flipper.verdict.detected, 5'000u);
}

TEST(Log_BitFlip, AnywhereInALogThatWasKilledWhileWriting_IsDetectedOrAStateThatWas) {
  // Nothing says that the last batch was synced: a flip in it looks like a torn write, and it is
  // cut. All before it is covered by the mark of that batch or an earlier one.
  LogHarness h;
  write_small_log(h);
  h.start_history();
  h.append(1, 15, 3, 5, 400);
  h.append(2, 21, 2, 5, 400);
  h.flush_and_run();
  Flipper flipper(h, true);
  flipper.flip_everything();
  EXPECT_GT(flipper.verdict.detected, 5'000u);
}

}  // namespace
}  // namespace multiraft::log
