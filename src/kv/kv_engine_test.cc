// What both engines promise.

#include "kv/kv_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "kv/testing/snapshots.h"

namespace multiraft::kv {
namespace {

using testing::apply;
using testing::contents_of;
using ::testing::ElementsAre;
using testing::EngineKind;
using testing::hash_of;
using ::testing::IsEmpty;
using testing::open_group;
using testing::restore;
using testing::run;
using testing::take_snapshot;

class EngineTest : public ::testing::TestWithParam<EngineKind> {
 protected:
  std::optional<std::string> get(const KvStateMachine& machine, std::string_view key) {
    auto value = machine.get(key);
    EXPECT_TRUE(value.is_ok()) << value.status().to_string();
    if (!value || !*value) return std::nullopt;
    return std::string((*value)->value.view());
  }

  testing::TempDir dir_;
  testing::FaultyDisk disk_;
  std::unique_ptr<KvEngine> engine_ = testing::make_engine(GetParam(), dir_.path(), disk_);
};

INSTANTIATE_TEST_SUITE_P(, EngineTest, ::testing::Values(EngineKind::kRocks, EngineKind::kMemory),
                         [](const auto& kind) {
                           return kind.param == EngineKind::kRocks ? "Rocks" : "Memory";
                         });

TEST_P(EngineTest, NewGroup_Opened_IsEmptyAtIndexZero) {
  auto machine = open_group(*engine_);
  EXPECT_EQ(machine->applied_index(), LogIndex(0));
  EXPECT_EQ(machine->applied_term(), Term(0));
  EXPECT_EQ(machine->durable_index(), LogIndex(0));
  EXPECT_EQ(machine->in_memory(), GetParam() == EngineKind::kMemory);
  EXPECT_THAT(contents_of(*machine), IsEmpty());
}

TEST_P(EngineTest, Put_AppliedAndCommitted_IsReadWithItsIndex) {
  auto machine = open_group(*engine_);
  EXPECT_THAT(run(*engine_, *machine, {encode_put("a", "1"), encode_put("b", "")}, Term(7)),
              ElementsAre(ResultCode::kApplied, ResultCode::kApplied));
  EXPECT_EQ(machine->applied_index(), LogIndex(2));
  EXPECT_EQ(machine->applied_term(), Term(7));
  auto b = machine->get("b");
  ASSERT_TRUE(b.is_ok() && b->has_value());
  EXPECT_EQ((*b)->modified_index, LogIndex(2));
  EXPECT_EQ((*b)->value.view(), "");
  EXPECT_EQ(get(*machine, "a"), "1");
  EXPECT_EQ(get(*machine, "c"), std::nullopt);
  EXPECT_EQ(get(*machine, ""), std::nullopt);
  EXPECT_EQ(get(*machine, std::string(limits::kKeyBytesMax + 1, 'k')), std::nullopt);
}

TEST_P(EngineTest, Delete_KeyThereOrNot_SaysSo) {
  auto machine = open_group(*engine_);
  run(*engine_, *machine, {encode_put("old", "1")});
  EXPECT_THAT(run(*engine_, *machine,
                  {encode_delete("old"), encode_delete("old"), encode_delete("never"),
                   encode_put("new", "1"), encode_delete("new"), encode_put("new", "2")}),
              ElementsAre(ResultCode::kApplied, ResultCode::kNotFound, ResultCode::kNotFound,
                          ResultCode::kApplied, ResultCode::kApplied, ResultCode::kApplied));
  EXPECT_EQ(get(*machine, "old"), std::nullopt);
  EXPECT_EQ(get(*machine, "new"), "2");
}

TEST_P(EngineTest, BadCommands_Applied_HaveCodesAndMoveTheIndexOnly) {
  auto machine = open_group(*engine_);
  EXPECT_THAT(run(*engine_, *machine, {SharedBytes(), SharedBytes::copy_of("\x01\x01\x09")}),
              ElementsAre(ResultCode::kBadCommand, ResultCode::kBadCommand));
  EXPECT_EQ(machine->applied_index(), LogIndex(2));
  EXPECT_THAT(contents_of(*machine), IsEmpty());
}

TEST_P(EngineTest, UnknownCommands_AreForANewerProgram) {
  auto machine = open_group(*engine_);
  EXPECT_TRUE(machine->check(encode_put("a", "1").view()));
  EXPECT_EQ(machine->check("\x02\x01 of a newer program").code(), StatusCode::kUnsupported);
  EXPECT_EQ(machine->check("\x01\x7f").code(), StatusCode::kUnsupported);
}

TEST_P(EngineTest, EntriesWithoutCommand_Applied_MoveTheIndex) {
  auto machine = open_group(*engine_);
  ASSERT_TRUE(machine->apply({}, LogIndex(5), Term(3), {}).is_ok());
  ASSERT_TRUE(engine_->commit(0).is_ok());
  EXPECT_EQ(machine->applied_index(), LogIndex(5));
  EXPECT_EQ(machine->applied_term(), Term(3));
  EXPECT_EQ(take_snapshot(*machine).index, LogIndex(5));
}

TEST_P(EngineTest, Groups_SameKeys_DoNotMeet) {
  auto one = open_group(*engine_, 1);
  auto two = open_group(*engine_, 2);
  auto big = open_group(*engine_, ~uint64_t{0});
  apply(*one, {encode_put("k", "1")});
  apply(*two, {encode_put("k", "2"), encode_put("\xff", "x")});
  apply(*big, {encode_put("\xff\xff", "big")});
  ASSERT_TRUE(engine_->commit(0).is_ok());
  EXPECT_EQ(get(*one, "k"), "1");
  EXPECT_EQ(get(*two, "k"), "2");
  EXPECT_EQ(contents_of(*one).size(), 1u);
  EXPECT_EQ(contents_of(*two).size(), 2u);
  EXPECT_EQ(contents_of(*big).size(), 1u);
  two.reset();
  ASSERT_TRUE(engine_->destroy(GroupId(2)).is_ok());
  EXPECT_EQ(get(*one, "k"), "1");
  EXPECT_EQ(get(*big, "\xff\xff"), "big");
}

TEST_P(EngineTest, Group_OpenTwiceOrDestroyedWhileOpen_IsConflict) {
  auto machine = open_group(*engine_);
  EXPECT_EQ(engine_->open_kv(GroupId(1)).status().code(), StatusCode::kConflict);
  EXPECT_EQ(engine_->open(GroupId(1)).status().code(), StatusCode::kConflict);
  EXPECT_EQ(engine_->destroy(GroupId(1)).code(), StatusCode::kConflict);
}

TEST_P(EngineTest, Group_Destroyed_OpensEmpty) {
  auto machine = open_group(*engine_);
  run(*engine_, *machine, {encode_put("a", "1"), encode_put("b", "2")});
  machine.reset();
  ASSERT_TRUE(engine_->destroy(GroupId(1)).is_ok());
  ASSERT_TRUE(engine_->destroy(GroupId(1)).is_ok());
  machine = open_group(*engine_);
  EXPECT_EQ(machine->applied_index(), LogIndex(0));
  EXPECT_THAT(contents_of(*machine), IsEmpty());
  run(*engine_, *machine, {encode_put("c", "3")});
  EXPECT_EQ(contents_of(*machine).size(), 1u);
}

// A read that was handed to another thread must not take a removed replica for an empty group.
TEST_P(EngineTest, Reader_StateMachineGone_IsUnavailable) {
  auto machine = open_group(*engine_);
  run(*engine_, *machine, {encode_put("a", "1")});
  const auto reader = machine->reader();
  EXPECT_TRUE(reader->get("a").is_ok());
  machine.reset();
  ASSERT_TRUE(engine_->destroy(GroupId(1)).is_ok());
  EXPECT_EQ(reader->get("a").status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(reader->scan({}).status().code(), StatusCode::kUnavailable);
}

class ScanTest : public EngineTest {
 protected:
  void SetUp() override {
    machine_ = open_group(*engine_);
    run(*engine_, *machine_,
        {encode_put("a", "1"), encode_put("ab", "22"), encode_put("b", "333"),
         encode_put(std::string_view("b\0", 2), "4"), encode_put("c", "5")});
  }
  std::string keys(const ScanRequest& request) {
    std::string out;
    auto page = machine_->scan(request);
    EXPECT_TRUE(page.is_ok());
    for (const KvItem& item : page->items) out += item.key + " ";
    if (page->next) out += "-> " + *page->next;
    return out;
  }
  std::unique_ptr<KvStateMachine> machine_;
};
INSTANTIATE_TEST_SUITE_P(, ScanTest, ::testing::Values(EngineKind::kRocks, EngineKind::kMemory),
                         [](const auto& kind) {
                           return kind.param == EngineKind::kRocks ? "Rocks" : "Memory";
                         });

TEST_P(ScanTest, Ranges_BothDirections_AreInOrder) {
  const std::string b0("b\0", 2);
  EXPECT_EQ(keys({}), "a ab b " + b0 + " c ");
  EXPECT_EQ(keys({.reverse = true}), "c " + b0 + " b ab a ");
  EXPECT_EQ(keys({.start = "ab", .end = "b"}), "ab ");
  EXPECT_EQ(keys({.start = "ab", .end = "b", .reverse = true}), "ab ");
  EXPECT_EQ(keys({.start = "aa", .end = "bb"}), "ab b " + b0 + " ");
  EXPECT_EQ(keys({.start = "bb", .reverse = true}), "c ");
  EXPECT_EQ(keys({.start = "c", .end = "a"}), "");
  EXPECT_EQ(keys({.start = "c", .end = "c"}), "");
  EXPECT_EQ(keys({.start = "d"}), "");
  EXPECT_EQ(keys({.end = "a", .reverse = true}), "");
}

TEST_P(ScanTest, Pages_ContinuedWhereTheyEnded_GiveEverythingOnce) {
  EXPECT_EQ(keys({.items_max = 2}), "a ab -> b");
  EXPECT_EQ(keys({.start = "b", .items_max = 3}), "b " + std::string("b\0", 2) + " c ");
  EXPECT_EQ(keys({.items_max = 3, .reverse = true}), "c " + std::string("b\0", 2) + " b -> b");
  EXPECT_EQ(keys({.end = "b", .items_max = 3, .reverse = true}), "ab a ");
  EXPECT_EQ(keys({.items_max = 5}), "a ab b " + std::string("b\0", 2) + " c ");
  EXPECT_EQ(keys({.items_max = 0}), "a -> ab");
}

TEST_P(ScanTest, Page_BytesReached_Ends) {
  EXPECT_EQ(keys({.bytes_max = 6}), "a ab -> b");
  EXPECT_EQ(keys({.bytes_max = 1}), "a -> ab");
}

TEST_P(ScanTest, KeysOnly_Scanned_HasIndexesAndNoValues) {
  auto page = machine_->scan({.start = "b", .keys_only = true});
  ASSERT_TRUE(page.is_ok());
  EXPECT_EQ(page->items[0].modified_index, LogIndex(3));
  EXPECT_TRUE(page->items[0].value.empty());
}

TEST(Scan, PrefixEnd_AnyPrefix_IsTheKeyBehindIt) {
  EXPECT_EQ(prefix_end("ab"), "ac");
  EXPECT_EQ(prefix_end("a\xff"), "b");
  EXPECT_EQ(prefix_end("\xff\xff"), "");
  EXPECT_EQ(prefix_end(""), "");
}

TEST_P(EngineTest, Snapshot_StateGoesOn_StaysAtItsIndex) {
  auto machine = open_group(*engine_);
  run(*engine_, *machine, {encode_put("a", "1"), encode_put("b", "2"), encode_put("c", "3")},
      Term(4));
  auto reader = machine->snapshot();
  ASSERT_TRUE(reader.is_ok());
  std::string first;
  ASSERT_TRUE((*reader)->next(1, first).is_ok());
  run(*engine_, *machine, {encode_put("a", "x"), encode_delete("b"), encode_put("d", "4")});
  auto chunks = testing::chunks_of(**reader, 1);
  chunks.insert(chunks.begin(), first);
  EXPECT_EQ((*reader)->applied_index(), LogIndex(3));
  EXPECT_EQ((*reader)->applied_term(), Term(4));

  auto copy = open_group(*engine_, 2);
  ASSERT_TRUE(restore(*copy, {LogIndex(3), Term(4), chunks}).is_ok());
  EXPECT_EQ(copy->applied_index(), LogIndex(3));
  EXPECT_EQ(copy->applied_term(), Term(4));
  EXPECT_EQ(contents_of(*copy),
            (testing::Contents{{"a", {"1", 1}}, {"b", {"2", 2}}, {"c", {"3", 3}}}));
}

TEST_P(EngineTest, Restore_OverOtherState_ReplacesAllOfIt) {
  auto source = open_group(*engine_, 1);
  run(*engine_, *source, {encode_put("b", "new"), encode_put("m", "new")});
  auto target = open_group(*engine_, 2);
  run(*engine_, *target, {encode_put("a", "old"), encode_put("b", "old"), encode_put("z", "old")});
  auto neighbour = open_group(*engine_, 3);
  run(*engine_, *neighbour, {encode_put("n", "stays")});

  ASSERT_TRUE(restore(*target, take_snapshot(*source)).is_ok());
  EXPECT_EQ(contents_of(*target), contents_of(*source));
  EXPECT_EQ(hash_of(*target), hash_of(*source));
  EXPECT_EQ(get(*neighbour, "n"), "stays");

  run(*engine_, *target, {encode_put("a", "later"), encode_delete("m")});
  EXPECT_EQ(contents_of(*target), (testing::Contents{{"a", {"later", 3}}, {"b", {"new", 1}}}));
}

TEST_P(EngineTest, Restore_ToEmptyState_Empties) {
  auto source = open_group(*engine_, 1);
  run(*engine_, *source, {encode_put("a", "1"), encode_delete("a")});
  auto target = open_group(*engine_, 2);
  run(*engine_, *target, {encode_put("a", "old")});
  ASSERT_TRUE(restore(*target, take_snapshot(*source)).is_ok());
  EXPECT_EQ(target->applied_index(), LogIndex(2));
  EXPECT_THAT(contents_of(*target), IsEmpty());
}

TEST_P(EngineTest, Restore_NotFinished_ChangesNothing) {
  auto source = open_group(*engine_, 1);
  run(*engine_, *source, {encode_put("a", "new"), encode_put("b", "new")});
  const testing::Snapshot snapshot = take_snapshot(*source, 1);
  auto target = open_group(*engine_, 2);
  run(*engine_, *target, {encode_put("a", "old")});
  const uint64_t before = hash_of(*target);
  {
    auto writer = target->restore(snapshot.index, snapshot.term);
    ASSERT_TRUE(writer.is_ok());
    for (const auto& chunk : snapshot.chunks) ASSERT_TRUE((*writer)->append(chunk).is_ok());
    EXPECT_EQ(hash_of(*target), before);
  }
  EXPECT_EQ(hash_of(*target), before);
  EXPECT_EQ(target->applied_index(), LogIndex(1));
}

TEST_P(EngineTest, Restore_ChunksMissingOrTwiceOrMixedUp_IsRefused) {
  auto source = open_group(*engine_, 1);
  run(*engine_, *source, {encode_put("a", "1"), encode_put("b", "2"), encode_put("c", "3")});
  const testing::Snapshot good = take_snapshot(*source, 1);
  ASSERT_EQ(good.chunks.size(), 4u);
  auto target = open_group(*engine_, 2);
  for (size_t i = 0; i < good.chunks.size(); ++i) {
    testing::Snapshot bad = good;
    bad.chunks.erase(bad.chunks.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_EQ(restore(*target, bad).code(), StatusCode::kCorruption) << "without " << i;
    bad = good;
    bad.chunks.insert(bad.chunks.begin() + static_cast<std::ptrdiff_t>(i), good.chunks[i]);
    EXPECT_EQ(restore(*target, bad).code(), StatusCode::kCorruption) << "twice " << i;
    bad = good;
    std::swap(bad.chunks[i], bad.chunks[(i + 1) % bad.chunks.size()]);
    EXPECT_EQ(restore(*target, bad).code(), StatusCode::kCorruption) << "swapped " << i;
  }
  testing::Snapshot elsewhere = good;
  elsewhere.index = LogIndex(4);
  EXPECT_EQ(restore(*target, elsewhere).code(), StatusCode::kCorruption);
  EXPECT_EQ(target->applied_index(), LogIndex(0));
  EXPECT_TRUE(restore(*target, good).is_ok());
}

TEST_P(EngineTest, Restore_StateMachineGoneMeanwhile_DoesNotBringTheGroupBack) {
  auto source = open_group(*engine_, 1);
  run(*engine_, *source, {encode_put("a", "1")});
  const testing::Snapshot snapshot = take_snapshot(*source);
  auto target = open_group(*engine_, 2);
  auto writer = target->restore(snapshot.index, snapshot.term);
  ASSERT_TRUE(writer.is_ok());
  for (const auto& chunk : snapshot.chunks) ASSERT_TRUE((*writer)->append(chunk).is_ok());
  target.reset();
  EXPECT_EQ((*writer)->finish().code(), StatusCode::kUnavailable);
  target = open_group(*engine_, 2);
  EXPECT_EQ(target->applied_index(), LogIndex(0));
}

TEST_P(EngineTest, Hash_AnyDifference_Differs) {
  auto one = open_group(*engine_, 1);
  auto two = open_group(*engine_, 2);
  EXPECT_EQ(hash_of(*one), hash_of(*two));
  run(*engine_, *one, {encode_put("a", "1"), encode_put("b", "2")});
  EXPECT_NE(hash_of(*one), hash_of(*two));
  // The same pairs, written at other indexes.
  run(*engine_, *two, {encode_put("b", "2"), encode_put("a", "1")});
  EXPECT_NE(hash_of(*one), hash_of(*two));
  run(*engine_, *one, {encode_put("a", "x"), encode_put("b", "y")});
  run(*engine_, *two, {encode_put("a", "x"), encode_put("b", "y")});
  EXPECT_EQ(hash_of(*one), hash_of(*two));
  run(*engine_, *one, {encode_delete("no such key")});
  EXPECT_NE(hash_of(*one), hash_of(*two));
}

}  // namespace
}  // namespace multiraft::kv
