#include "base/bytes.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "multiraft/bytes.h"

namespace multiraft {
namespace {

TEST(Bytes, Writer_IsLittleEndian) {
  std::string out;
  ByteWriter writer(out);
  writer.u8(0x01);
  writer.u16(0x0203);
  writer.u32(0x04050607);
  writer.u64(0x08090a0b0c0d0e0f);
  writer.sized("ab");
  writer.bytes("c");
  EXPECT_EQ(out, std::string("\x01"
                             "\x03\x02"
                             "\x07\x06\x05\x04"
                             "\x0f\x0e\x0d\x0c\x0b\x0a\x09\x08"
                             "\x02\x00\x00\x00"
                             "ab"
                             "c",
                             22));
  EXPECT_EQ(writer.size(), 22u);
}

RC_GTEST_PROP(Bytes, Reader_ReturnsWhatWasWritten,
              (uint8_t a, uint16_t b, uint32_t c, uint64_t d, const std::string& e,
               const std::string& f)) {
  std::string out;
  ByteWriter writer(out);
  writer.u8(a);
  writer.u16(b);
  writer.u32(c);
  writer.u64(d);
  writer.sized(e);
  writer.bytes(f);
  ByteReader reader(out);
  RC_ASSERT(reader.u8() == a);
  RC_ASSERT(reader.u16() == b);
  RC_ASSERT(reader.u32() == c);
  RC_ASSERT(reader.u64() == d);
  RC_ASSERT(reader.sized() == e);
  RC_ASSERT(reader.position() == out.size() - f.size());
  RC_ASSERT(!reader.complete() == !f.empty());
  RC_ASSERT(reader.bytes(f.size()) == f);
  RC_ASSERT(reader.complete());
}

RC_GTEST_PROP(Bytes, Reader_OfCutInput_FailsAndNeverOverreads,
              (uint32_t a, const std::string& b, uint64_t c)) {
  std::string out;
  ByteWriter writer(out);
  writer.u32(a);
  writer.sized(b);
  writer.u64(c);
  // A copy of exactly the cut size, so that AddressSanitizer sees a read past it.
  const auto size = *rc::gen::inRange<size_t>(0, out.size());
  const std::vector<char> cut(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size));
  ByteReader reader(std::string_view(cut.data(), cut.size()));
  reader.u32();
  reader.sized();
  RC_ASSERT(reader.u64() == 0u);
  RC_ASSERT(reader.failed());
  RC_ASSERT(!reader.complete());
  RC_ASSERT(reader.remaining() == 0u);
}

TEST(Bytes, Reader_AfterAFailure_StaysFailed) {
  ByteReader reader("abcdef");
  EXPECT_EQ(reader.u64(), 0u);
  EXPECT_EQ(reader.u8(), 0u) << "what is left is not read as something else";
  EXPECT_TRUE(reader.failed());
}

TEST(Bytes, Reader_LengthBeyondTheInput_IsNotBelieved) {
  const std::string huge(
      "\xff\xff\xff\xff"
      "abc");
  ByteReader reader(huge);
  EXPECT_EQ(reader.sized(), "");
  EXPECT_TRUE(reader.failed());
}

TEST(Bytes, PatchU32_OverwritesInPlace) {
  std::string out;
  ByteWriter writer(out);
  writer.u8(1);
  writer.u32(0);
  writer.u8(2);
  writer.patch_u32(1, 0x0a0b0c0d);
  EXPECT_EQ(out, "\x01\x0d\x0c\x0b\x0a\x02");
  EXPECT_DEATH(writer.patch_u32(3, 0), "assertion failed");
}

TEST(SharedBytes, Copies_ShareTheBuffer_WhichLivesAsLongAsOneOfThem) {
  SharedBytes part;
  const char* address = nullptr;
  {
    const SharedBytes whole = SharedBytes::copy_of("hello world");
    const SharedBytes copy = whole;  // NOLINT(performance-unnecessary-copy-initialization)
    EXPECT_EQ(copy.data(), whole.data());
    part = whole.slice(6, 5);
    address = whole.data() + 6;
  }
  EXPECT_EQ(part.data(), address);
  EXPECT_EQ(part.view(), "world");
}

TEST(SharedBytes, Trimmed_CopiesWhatIsLessThanHalfOfItsBuffer) {
  const SharedBytes whole = SharedBytes::copy_of(std::string(1000, 'x') + "y");
  const SharedBytes half = whole.slice(500, 501);
  EXPECT_EQ(half.trimmed().data(), half.data());
  const SharedBytes less = whole.slice(502, 499);
  EXPECT_NE(less.trimmed().data(), less.data());
  EXPECT_EQ(less.trimmed(), less);
  EXPECT_EQ(whole.trimmed().data(), whole.data());
  EXPECT_TRUE(SharedBytes().trimmed().empty());
}

TEST(SharedBytes, TrimmedSlices_LetTheBufferGo) {
  SharedBytes whole = SharedBytes::allocate(1 << 20);
  std::vector<SharedBytes> kept;
  for (size_t at = 0; at < 100; ++at) kept.push_back(whole.slice(at * 100, 30));
  EXPECT_FALSE(whole.sole_owner());
  for (SharedBytes& slice : kept) slice = std::move(slice).trimmed();
  EXPECT_TRUE(whole.sole_owner());
}

TEST(SharedBytes, MemoryBytes_AreThoseOfTheWholeBuffer) {
  EXPECT_EQ(SharedBytes().memory_bytes(), 0u);
  const SharedBytes whole = SharedBytes::allocate(1 << 20);
  EXPECT_GE(whole.slice(0, 1).memory_bytes(), size_t{1} << 20);
  EXPECT_EQ(whole.slice(7, 30).trimmed().memory_bytes(), 48u);  // 8 of its own, 8 of malloc's.
}

TEST(SharedBytes, MoveAndSelfAssignment_KeepTheBytes) {
  SharedBytes a = SharedBytes::copy_of("abc");
  SharedBytes b = std::move(a);
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): its state is part of the contract
  const SharedBytes& same = b;
  b = same;
  EXPECT_EQ(b.view(), "abc");
}

TEST(SharedBytes, Make_LetsTheCallerFill) {
  const SharedBytes bytes = SharedBytes::make(3, [](char* data) { std::memcpy(data, "xyz", 3); });
  EXPECT_EQ(std::string_view(bytes), "xyz");
}

TEST(SharedBytes, Slice_OutsideIsAnAssertion_AndEmptyHoldsNothing) {
  const SharedBytes bytes = SharedBytes::copy_of("abc");
  EXPECT_TRUE(bytes.slice(3, 0).empty());
  EXPECT_DEATH(bytes.slice(1, 3), "assertion failed");
  EXPECT_DEATH(bytes.slice(4, 0), "assertion failed");
  EXPECT_DEATH(bytes.slice(1, SIZE_MAX), "assertion failed");
  EXPECT_EQ(SharedBytes(), SharedBytes::copy_of(""));
}

}  // namespace
}  // namespace multiraft
