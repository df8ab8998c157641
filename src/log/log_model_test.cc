// Random sequences of operations, crashes and restarts against a std::map.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/prng.h"
#include "log/testing/simulated_log.h"

namespace multiraft::log {
namespace {

/// One operation: `kind` and `random` decide it together with the state it meets, so that any
/// subsequence of a failing sequence is a valid one too and can be tried as a smaller case.
struct Step {
  uint8_t kind = 0;
  uint32_t random = 0;
};

std::ostream& operator<<(std::ostream& os, const Step& step) {
  return os << "{" << static_cast<int>(step.kind) << "," << step.random << "}";
}

constexpr uint64_t kGroups = 6;
constexpr uint8_t kKinds = 24;

/// RC_PARAMS on the command line decides instead.
const int kParameters = setenv("RC_PARAMS", "max_success=1000", 0);

class Driver {
 public:
  explicit Driver(uint64_t seed) : h_(seed) {
    Prng random(seed);
    h_.options.segment_bytes = 4096 * random.between(8, 16);
    h_.options.cache_bytes = random.below(2) ? 3000 : 1'000'000;
    h_.start_history();
    RC_ASSERT(h_.open().is_ok());
  }

  void run(const Step& step) {
    Prng random(step.random);
    const uint64_t g = random.between(1, kGroups);
    const bool exists = h_.log().group(GroupId(g)) != nullptr;
    if (step.kind >= 20) return restart(step.kind, random);
    if (step.kind >= 14) return pass_time(step.kind, random);
    if (!exists) return create(g, random);
    change(step.kind, g, random);
  }
  void check() {
    const std::string wrong = h_.check();
    if (!wrong.empty()) RC_FAIL(wrong);
    if (!h_.fatal()) RC_FAIL(h_.fatal().to_string());
  }

 private:
  void create(uint64_t g, Prng& random) {
    h_.create(g, random.between(1, 1000),
              random.below(3) ? raft::Snapshot{} : snapshot_at(random.below(50), 1));
  }

  void change(uint8_t kind, uint64_t g, Prng& random) {
    const GroupLog& log = h_.group(g);
    const uint64_t first = log.first_index().value;
    const uint64_t last = log.last_index().value;
    const uint64_t term = h_.model()[g].hard_state.term.value + random.below(2);
    if (kind < 7) {
      const uint64_t at = random.below(4) ? last + 1 : random.between(first, last + 1);
      auto entries =
          make_entries(at, random.between(1, 8), std::max<uint64_t>(term, 1), random.below(900));
      // Not a matter of the index: an overwriting entry is of another type than the overwritten.
      for (raft::Entry& entry : entries) {
        entry.type = static_cast<raft::EntryType>(random.below(3));
      }
      GroupAppend append{GroupId(g), {}, nullptr, entries, random.below(8) != 0};
      if (random.below(2))
        append.hard_state = {Term(term), ReplicaId(random.below(4)), LogIndex(0)};
      h_.append(GroupId(g), append);
    } else if (kind < 9) {
      h_.save_state(g, {Term(term), ReplicaId(random.below(4)), LogIndex(last)}, random.below(2));
    } else if (kind < 11) {
      if (last >= first) h_.compact(g, random.between(first, last));
    } else if (kind == 11) {
      h_.announce(g, snapshot_at(last + random.between(1, 20), term + 1));
    } else if (kind == 12) {
      h_.install(g, snapshot_at(last + random.between(1, 20), term + 1));
    } else {
      h_.remove(g);
    }
  }

  void pass_time(uint8_t kind, Prng& random) {
    if (kind < 16) return h_.flush_and_run();
    if (kind == 16) return h_.settle();
    if (kind == 17) return h_.log().flush();
    for (uint64_t i = random.below(4); i-- > 0;) h_.env().scheduler().step();
  }

  void restart(uint8_t kind, Prng& random) {
    if (kind == 20) {
      h_.close();
      const Status opened = h_.open();
      if (!opened) RC_FAIL(opened.to_string());
      return check();
    }
    if (kind == 21) {
      RC_ASSERT(h_.kill_and_open().is_ok());
    } else {
      const Status opened =
          h_.crash_and_open(env::kAllCrashModes[random.below(6)], random.below(1000));
      if (!opened) RC_FAIL(opened.to_string());
    }
    const std::string wrong = h_.check_prefix();
    if (!wrong.empty()) RC_FAIL(wrong);
  }

  LogHarness h_;
};

}  // namespace
}  // namespace multiraft::log

template <>
struct rc::Arbitrary<multiraft::log::Step> {
  static rc::Gen<multiraft::log::Step> arbitrary() {
    using multiraft::log::Step;
    return rc::gen::build<Step>(
        rc::gen::set(&Step::kind, rc::gen::inRange<uint8_t>(0, multiraft::log::kKinds)),
        rc::gen::set(&Step::random, rc::gen::resize(100, rc::gen::arbitrary<uint32_t>())));
  }
};

namespace multiraft::log {
namespace {

RC_GTEST_PROP(Log_Model, AnySequence_HoldsWhatAMapHolds, ()) {
  const auto seed = *rc::gen::inRange<uint64_t>(1, 1'000'000);
  const auto steps = *rc::gen::scale(6.0, rc::gen::arbitrary<std::vector<Step>>());
  Driver driver(seed);
  for (const Step& step : steps) {
    driver.run(step);
    if (step.random % 16 == 0) driver.check();
  }
  driver.check();
}

}  // namespace
}  // namespace multiraft::log
