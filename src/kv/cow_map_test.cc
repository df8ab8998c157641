#include "kv/cow_map.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/prng.h"

namespace multiraft::kv {
namespace {

using Model = std::map<std::string, std::pair<std::string, uint64_t>>;

Model contents(const CowMap& map) {
  Model out;
  std::string last;
  for (auto at = map.begin(); !at.at_end(); at.advance()) {
    EXPECT_TRUE(out.empty() || last < at->key.view());
    last = at->key.view();
    out[last] = {std::string(at->value.view()), at->modified_index.value};
  }
  EXPECT_EQ(out.size(), map.size());
  return out;
}

Model contents_backwards(const CowMap& map) {
  Model out;
  for (auto at = map.end(); at.retreat();) {
    out[std::string(at->key.view())] = {std::string(at->value.view()), at->modified_index.value};
  }
  return out;
}

std::string key_of(uint64_t n) { return "key" + std::to_string(n); }

TEST(CowMap, Empty_AllQuestions_FindNothing) {
  const CowMap map;
  EXPECT_TRUE(map.begin().at_end());
  EXPECT_EQ(map.find("a"), nullptr);
  EXPECT_FALSE(map.end().retreat());
}

TEST(CowMap, RandomWrites_AgainstModel_AgreeAndFrozenCopiesStay) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Prng random(seed);
    const uint64_t keys = random.between(1, 600);
    const bool mostly_erase = random.chance(0.3);
    CowMap map;
    Model model;
    std::vector<std::pair<CowMap, Model>> frozen;
    for (uint64_t step = 1; step <= 2'000; ++step) {
      const std::string key = key_of(random.below(keys));
      if (random.chance(mostly_erase && step > 1'000 ? 0.8 : 0.3)) {
        EXPECT_EQ(map.erase(key), model.erase(key) == 1);
      } else {
        map.put(key, std::to_string(step), LogIndex(step));
        model[key] = {std::to_string(step), step};
      }
      if (random.chance(0.005)) frozen.emplace_back(map.freeze(), model);
      const std::string probe = key_of(random.below(keys));
      const auto at = map.lower_bound(probe);
      const auto expected = model.lower_bound(probe);
      ASSERT_EQ(at.at_end(), expected == model.end());
      if (!at.at_end()) {
        ASSERT_EQ(at->key.view(), expected->first);
      }
      ASSERT_EQ(map.find(probe) != nullptr, model.contains(probe));
    }
    EXPECT_EQ(contents(map), model) << seed;
    EXPECT_EQ(contents_backwards(map), model) << seed;
    for (const auto& [copy, then] : frozen) EXPECT_EQ(contents(copy), then) << seed;
  }
}

// The first leaf takes every key below the second one's, also after the first was emptied.
TEST(CowMap, FirstLeafEmptied_SmallerKeysPut_StayInOrder) {
  CowMap map;
  Model model;
  const auto put = [&](uint64_t n) {
    const std::string key = std::to_string(n);
    map.put(key, "v", LogIndex(n));
    model[key] = {"v", n};
  };
  for (uint64_t n = 1'000; n < 1'200; ++n) put(n);
  for (uint64_t n = 1'000; n < 1'100; ++n) {
    map.erase(std::to_string(n));
    model.erase(std::to_string(n));
  }
  for (uint64_t n = 100; n < 1'100; n += 3) put(n);
  EXPECT_EQ(contents(map), model);
}

TEST(CowMap, AllErased_PutAgain_Works) {
  CowMap map;
  for (uint64_t n = 0; n < 300; ++n) map.put(key_of(n), "v", LogIndex(1));
  for (uint64_t n = 0; n < 300; ++n) EXPECT_TRUE(map.erase(key_of(n)));
  EXPECT_EQ(map.size(), 0u);
  EXPECT_TRUE(map.begin().at_end());
  map.put("a", "v", LogIndex(2));
  EXPECT_EQ(contents(map), (Model{{"a", {"v", 2}}}));
}

}  // namespace
}  // namespace multiraft::kv
