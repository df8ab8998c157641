#include "wire/batch.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <variant>

#include "base/assert.h"
#include "wire/testing/samples.h"

namespace multiraft::wire {
namespace {

using Record = std::variant<GroupMessage, Request, Response>;

bool same(const GroupMessage& a, const GroupMessage& b) {
  const raft::Message& x = a.message;
  const raft::Message& y = b.message;
  const bool snapshots = !x.snapshot ? !y.snapshot : y.snapshot && *x.snapshot == *y.snapshot;
  return snapshots && a.group == b.group && x.type == y.type && x.reject == y.reject &&
         x.leadership_transfer == y.leadership_transfer && x.lease == y.lease &&
         x.promise_ms == y.promise_ms && x.from == y.from && x.to == y.to && x.term == y.term &&
         x.log_term == y.log_term && x.index == y.index && x.commit == y.commit &&
         x.vote == y.vote && x.reject_hint == y.reject_hint && x.read_id == y.read_id &&
         x.entries == y.entries && y.responses.empty();
}
bool same(const Request& a, const Request& b) {
  return a.id == b.id && a.kind == b.kind && a.group == b.group && a.payload == b.payload &&
         a.checksum == b.checksum;
}
bool same(const Response& a, const Response& b) {
  return a.id == b.id && a.code == b.code && a.payload == b.payload && a.asker == b.asker;
}
bool same(const Record& a, const Record& b) {
  if (a.index() != b.index()) return false;
  if (const auto* message = std::get_if<GroupMessage>(&a)) {
    return same(*message, std::get<GroupMessage>(b));
  }
  if (const auto* request = std::get_if<Request>(&a)) return same(*request, std::get<Request>(b));
  return same(std::get<Response>(a), std::get<Response>(b));
}

std::string encode_all(const std::vector<Record>& records) {
  BatchEncoder encoder;
  for (const Record& record : records) {
    std::visit(
        [&](const auto& r) {
          const size_t before = encoder.frame_bytes();
          encoder.add(r);
          MR_ASSERT(encoder.frame_bytes() - before == record_bytes(r));
        },
        record);
  }
  return joined(encoder.finish());
}

/// The records up to the end or to what is malformed, and what that is.
Status decode_all(const SharedBytes& payload, std::vector<Record>& records) {
  BatchReader reader(payload);
  while (true) {
    switch (reader.next()) {
      case BatchReader::Item::kMessage:
        records.emplace_back(std::move(reader.message()));
        break;
      case BatchReader::Item::kRequest:
        records.emplace_back(std::move(reader.request()));
        break;
      case BatchReader::Item::kResponse:
        records.emplace_back(std::move(reader.response()));
        break;
      case BatchReader::Item::kDurable:
        EXPECT_NE(reader.durable().sequence, 0u);
        break;
      case BatchReader::Item::kEnd:
        return Status::ok();
      case BatchReader::Item::kMalformed:
        EXPECT_FALSE(reader.status().is_ok());
        EXPECT_EQ(reader.next(), BatchReader::Item::kMalformed);
        return reader.status();
    }
  }
}

Status decode_all(std::string_view payload) {
  std::vector<Record> ignored;
  return decode_all(SharedBytes::copy_of(payload), ignored);
}

// -- Generators.

uint64_t any_u64() { return *rc::gen::arbitrary<uint64_t>(); }
ReplicaId any_replica() {
  return ReplicaId::make(NodeId(*rc::gen::inRange<uint64_t>(1, limits::kNodeIdMax + 1)),
                         *rc::gen::arbitrary<uint32_t>());
}
SharedBytes any_bytes() {
  // Around the size from which payloads are not copied, too.
  const auto size = *rc::gen::element<size_t>(0, 1, 7, 100, BatchEncoder::kSpliceBytesMin - 1,
                                              BatchEncoder::kSpliceBytesMin, 10'000);
  return SharedBytes::copy_of(std::string(size, *rc::gen::arbitrary<char>()));
}
GroupMessage any_message() {
  GroupMessage out;
  out.group = GroupId(any_u64());
  raft::Message& m = out.message;
  m.type = static_cast<raft::MessageType>(
      *rc::gen::suchThat(rc::gen::inRange(17, 29), [](int type) { return type != 23; }));
  m.reject = *rc::gen::arbitrary<bool>();
  m.leadership_transfer = *rc::gen::arbitrary<bool>();
  m.lease = *rc::gen::arbitrary<bool>();
  if (m.type == raft::MessageType::kHeartbeatResp) m.promise_ms = static_cast<uint32_t>(any_u64());
  m.from = any_replica();
  m.to = any_replica();
  m.term = Term(any_u64());
  m.log_term = Term(any_u64());
  m.index = LogIndex(any_u64());
  m.commit = LogIndex(any_u64());
  m.vote = ReplicaId(any_u64());
  m.reject_hint = LogIndex(any_u64());
  m.read_id = raft::ReadId(any_u64());
  if (m.type == raft::MessageType::kApp) {
    for (int n = *rc::gen::inRange(0, 5); n > 0; --n) {
      m.entries.push_back({Term(any_u64()), LogIndex(any_u64()),
                           static_cast<raft::EntryType>(*rc::gen::inRange(0, 3)), any_bytes(),
                           *rc::gen::arbitrary<uint32_t>()});
    }
  }
  return out;
}

Record any_record() {
  switch (*rc::gen::inRange(0, 4)) {
    case 0:
      return Request{any_u64(), static_cast<RequestKind>(*rc::gen::inRange(1, 4)),
                     GroupId(any_u64()), any_bytes(), *rc::gen::arbitrary<uint32_t>()};
    case 1:
      return Response{any_u64(), static_cast<StatusCode>(*rc::gen::inRange(0, 16)), any_bytes(),
                      any_u64()};
    default:
      return any_message();
  }
}

std::vector<Record> any_records() {
  std::vector<Record> records;
  for (int n = *rc::gen::inRange(1, 12); n > 0; --n) records.push_back(any_record());
  return records;
}

// -- Round trips.

RC_GTEST_PROP(Batch, AnyRecords_RoundTrip_SameInOrder, ()) {
  const std::vector<Record> sent = any_records();
  const std::string frame = encode_all(sent);
  std::vector<Record> received;
  const SharedBytes payload = SharedBytes::copy_of(payload_of(frame, FrameKind::kBatch));
  RC_ASSERT(decode_all(payload, received).is_ok());
  RC_ASSERT(received.size() == sent.size());
  for (size_t i = 0; i < sent.size(); ++i) RC_ASSERT(same(sent[i], received[i]));
  RC_ASSERT(encode_all(received) == frame);
}

RC_GTEST_PROP(Batch, AnyRecords_CutAnywhere_NeverMoreThanWhatWasSent, ()) {
  const std::vector<Record> sent = any_records();
  const std::string frame = encode_all(sent);
  const std::string_view payload = payload_of(frame, FrameKind::kBatch);
  const auto size = *rc::gen::inRange<size_t>(0, payload.size());
  std::vector<Record> received;
  const Status status = decode_all(SharedBytes::copy_of(payload.substr(0, size)), received);
  RC_ASSERT(received.size() < sent.size());
  for (size_t i = 0; i < received.size(); ++i) RC_ASSERT(same(sent[i], received[i]));
  // A cut between two records is seen by the frame's length only.
  RC_ASSERT(status.is_ok() || status.code() == StatusCode::kCorruption);
}

RC_GTEST_PROP(Batch, AnyBytes_ReplacedInPayload_NeverOverread, ()) {
  std::string payload(payload_of(encode_all(any_records()), FrameKind::kBatch));
  for (int n = *rc::gen::inRange(1, 5); n > 0; --n) {
    payload[*rc::gen::inRange<size_t>(0, payload.size())] = *rc::gen::arbitrary<char>();
  }
  (void)decode_all(payload);  // The sanitizers judge.
}

TEST(Batch, Encoder_Cleared_StartsOver) {
  BatchEncoder encoder;
  const Response large{1, StatusCode::kOk, SharedBytes::copy_of(std::string(1 << 20, 'x'))};
  const Response small{2, StatusCode::kOk, SharedBytes::copy_of("y")};
  encoder.add(small);
  const std::string first = joined(encoder.finish());
  encoder.clear();
  EXPECT_TRUE(encoder.empty());
  EXPECT_EQ(encoder.frame_bytes(), kFrameHeaderBytes);
  encoder.add(large);
  EXPECT_EQ(joined(encoder.finish()).size(), encoder.frame_bytes());
  encoder.clear();
  encoder.add(small);
  EXPECT_EQ(joined(encoder.finish()), first);
}

TEST(Batch, SmallRecordsOfALargeBatch_DoNotKeepItAlive) {
  GroupMessage append;
  append.group = GroupId(8);
  append.message.type = raft::MessageType::kApp;
  append.message.from = ReplicaId::make(NodeId(1), 1);
  append.message.to = ReplicaId::make(NodeId(2), 1);
  for (uint64_t i = 1; i <= 3; ++i) {
    append.message.entries.push_back(
        {Term(1), LogIndex(i), raft::EntryType::kNormal, SharedBytes::copy_of("entry")});
  }
  BatchEncoder encoder;
  encoder.add(append);
  encoder.add(Request{7, RequestKind::kPropose, GroupId(8), SharedBytes::copy_of("q")});
  encoder.add(Response{7, StatusCode::kOk, SharedBytes::copy_of("r")});
  encoder.add(Response{8, StatusCode::kOk, SharedBytes::copy_of(std::string(1 << 20, 'x'))});
  const SharedBytes payload =
      SharedBytes::copy_of(payload_of(joined(encoder.finish()), FrameKind::kBatch));
  std::vector<SharedBytes> kept;
  {
    BatchReader reader(payload);
    ASSERT_EQ(reader.next(), BatchReader::Item::kMessage);
    for (const raft::Entry& entry : reader.message().message.entries) kept.push_back(entry.data);
    ASSERT_EQ(reader.next(), BatchReader::Item::kRequest);
    kept.push_back(reader.request().payload);
    ASSERT_EQ(reader.next(), BatchReader::Item::kResponse);
    kept.push_back(reader.response().payload);
    ASSERT_EQ(reader.next(), BatchReader::Item::kResponse);
    EXPECT_FALSE(payload.sole_owner());  // The large one is most of the batch: it is not copied.
  }
  EXPECT_EQ(kept.front(), append.message.entries.front().data);
  EXPECT_TRUE(payload.sole_owner());
}

TEST(Batch, LargePayload_Encoded_IsNotCopied) {
  const SharedBytes large = SharedBytes::copy_of(std::string(1 << 20, 'x'));
  BatchEncoder encoder;
  encoder.add(Response{1, StatusCode::kOk, large});
  encoder.add(Response{2, StatusCode::kOk, large});
  const auto parts = encoder.finish();
  ASSERT_EQ(parts.size(), 4u);
  EXPECT_EQ(parts[1].data(), large.data());
  EXPECT_EQ(parts[3].data(), large.data());
}

TEST(Batch, LargePayload_Decoded_IsASliceOfTheFrame) {
  const std::string value(100, 'v');
  const SharedBytes payload = SharedBytes::copy_of(payload_of(
      encode_all({Response{1, StatusCode::kOk, SharedBytes::copy_of(value)}}), FrameKind::kBatch));
  BatchReader reader(payload);
  ASSERT_EQ(reader.next(), BatchReader::Item::kResponse);
  EXPECT_EQ(reader.response().payload.data(), payload.data() + 24);
}

TEST(Batch, Fits_AtTheLimit_Exactly) {
  BatchEncoder encoder;
  constexpr size_t kRoom = limits::kFrameBytesMax - kFrameHeaderBytes - BatchEncoder::kDurableBytes;
  EXPECT_TRUE(encoder.fits(kRoom));
  EXPECT_FALSE(encoder.fits(kRoom + 1));
  // The largest message that the core makes: a nearly full one and the largest proposal.
  EXPECT_TRUE(encoder.fits(limits::kMessageBytesMax + limits::kProposalBytesMax + 1024));
}

// -- Golden bytes.

GroupMessage an_append() {
  GroupMessage out;
  out.group = GroupId(0x21);
  raft::Message& m = out.message;
  m.type = raft::MessageType::kApp;
  m.from = ReplicaId::make(NodeId(1), 0x31);
  m.to = ReplicaId::make(NodeId(2), 0x32);
  m.term = Term(0x41);
  m.log_term = Term(0x42);
  m.index = LogIndex(0x43);
  m.commit = LogIndex(0x44);
  m.vote = ReplicaId(0x45);
  m.reject_hint = LogIndex(0x46);
  m.read_id = raft::ReadId(0x47);
  m.entries.push_back({Term(0x51), LogIndex(0x52), raft::EntryType::kConfChangeV2,
                       SharedBytes::copy_of("ab"), 0x71});
  m.entries.push_back({Term(0x53), LogIndex(0x54), raft::EntryType::kNormal, {}, 0x72});
  return out;
}

TEST(Batch, Message_Encoded_GoldenBytes) {
  EXPECT_EQ(to_hex(encode_all({an_append()})),
            "4d 52 57 46 01 00 03 00 8a 00 00 00 b2 d3 7c 7f d5 57 4c b1 "
            "01 11 00 00 02 00 00 00 21 00 00 00 00 00 00 00 "
            "31 00 00 00 01 00 00 00 32 00 00 00 02 00 00 00 "
            "41 00 00 00 00 00 00 00 42 00 00 00 00 00 00 00 "
            "43 00 00 00 00 00 00 00 44 00 00 00 00 00 00 00 "
            "45 00 00 00 00 00 00 00 46 00 00 00 00 00 00 00 "
            "47 00 00 00 00 00 00 00 "
            "51 00 00 00 00 00 00 00 52 00 00 00 00 00 00 00 02 00 00 20 71 00 00 00 61 62 "
            "53 00 00 00 00 00 00 00 54 00 00 00 00 00 00 00 00 00 00 00 72 00 00 00");
}

TEST(Batch, RequestAndResponse_Encoded_GoldenBytes) {
  EXPECT_EQ(to_hex(encode_all(
                {Request{7, RequestKind::kPropose, GroupId(8), SharedBytes::copy_of("q"), 0x73},
                 Response{7, StatusCode::kNotLeader, SharedBytes::copy_of("r"), 9}})),
            "4d 52 57 46 01 00 03 00 3a 00 00 00 3b bf 9d 13 a1 dc 23 a6 "
            "02 02 00 00 01 00 00 00 07 00 00 00 00 00 00 00 08 00 00 00 00 00 00 00 "
            "73 00 00 00 00 00 00 00 71 "
            "03 08 00 00 01 00 00 00 07 00 00 00 00 00 00 00 09 00 00 00 00 00 00 00 72");
}

std::string batch_with_durable(uint64_t sequence) {
  BatchEncoder encoder;
  encoder.add(Response{7, StatusCode::kNotLeader, SharedBytes::copy_of("r")});
  encoder.add(Durable{sequence});
  EXPECT_EQ(encoder.records(), 1u);
  return joined(encoder.finish());
}

TEST(Batch, Durable_Encoded_GoldenBytes) {
  EXPECT_EQ(to_hex(payload_of(batch_with_durable(0x0102030405060708), FrameKind::kBatch)),
            "03 08 00 00 01 00 00 00 07 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 72 "
            "04 00 00 00 00 00 00 00 08 07 06 05 04 03 02 01");
}

TEST(Batch, Durable_Decoded_AfterTheRecords) {
  const std::string frame = batch_with_durable(9);
  BatchReader reader(SharedBytes::copy_of(payload_of(frame, FrameKind::kBatch)));
  EXPECT_EQ(reader.next(), BatchReader::Item::kResponse);
  EXPECT_EQ(reader.next(), BatchReader::Item::kDurable);
  EXPECT_EQ(reader.durable().sequence, 9u);
  EXPECT_EQ(reader.next(), BatchReader::Item::kEnd);
}

// -- What must not pass.

std::string payload_with(const Record& record, size_t at, char value) {
  std::string payload(payload_of(encode_all({record}), FrameKind::kBatch));
  payload[at] = value;
  return payload;
}

TEST(Batch, Nothing_Decoded_IsCorruption) {
  EXPECT_EQ(decode_all("").code(), StatusCode::kCorruption);
}

TEST(Batch, Durable_MisplacedOrImpossible_IsCorruption) {
  const std::string frame = batch_with_durable(9);
  const std::string good(payload_of(frame, FrameKind::kBatch));
  EXPECT_EQ(decode_all(good.substr(25)).code(), StatusCode::kCorruption);         // Alone.
  EXPECT_EQ(decode_all(good + good.substr(25)).code(), StatusCode::kCorruption);  // Not the last.
  for (size_t at = 26; at <= 33; ++at) {  // Reserved bytes; and a sequence of 0.
    std::string bad = good;
    bad[at] = at == 33 ? '\0' : '\1';
    EXPECT_EQ(decode_all(bad).code(), StatusCode::kCorruption) << at;
  }
}

TEST(Batch, UnknownRecord_Decoded_IsCorruption) {
  for (const char kind : {'\0', '\5', '\xff'}) {
    EXPECT_EQ(decode_all(payload_with(an_append(), 0, kind)).code(), StatusCode::kCorruption);
  }
}

TEST(Batch, MessageType_ThatNoMemberSendsInABatch_IsRefused) {
  GroupMessage empty = an_append();
  empty.message.entries.clear();
  empty.message.type = raft::MessageType::kHeartbeat;
  for (int type = 0; type < 256; ++type) {
    // 16, a proposal, would pass by all that a leader asks of a client's; 23, a snapshot, has a
    // stream of its own.
    const bool travels = type >= 17 && type <= 28 && type != 23;
    EXPECT_EQ(decode_all(payload_with(empty, 1, static_cast<char>(type))).is_ok(), travels) << type;
  }
}

TEST(Batch, Message_UnknownFlags_AreRefused) {
  EXPECT_FALSE(decode_all(payload_with(an_append(), 2, '\x8')).is_ok());
  EXPECT_FALSE(decode_all(payload_with(an_append(), 3, '\1')).is_ok());
}

TEST(Batch, Message_FromOrToNoNode_IsRefused) {
  for (const size_t field : {size_t{16}, size_t{24}}) {
    std::string payload(payload_of(encode_all({an_append()}), FrameKind::kBatch));
    payload.replace(field + 4, 4, std::string_view("\0\0\0\0", 4));
    EXPECT_FALSE(decode_all(payload).is_ok());
    payload.replace(field, 8, "\xff\xff\xff\xff\xff\xff\xff\xff");  // kLocalAppend
    EXPECT_FALSE(decode_all(payload).is_ok());
  }
}

TEST(Batch, Entries_WhereNoneBelong_AreRefused) {
  for (int type = 16; type <= 28; ++type) {
    const bool may = type == 17;
    EXPECT_EQ(decode_all(payload_with(an_append(), 1, static_cast<char>(type))).is_ok(), may);
  }
}

TEST(Batch, EntryCount_Beyond_IsRefusedBeforeMemoryIsTaken) {
  for (size_t at = 4; at < 8; ++at) {
    EXPECT_FALSE(decode_all(payload_with(an_append(), at, '\x7f')).is_ok());
  }
}

TEST(Batch, EntryHead_TypeOrSizeWrong_IsRefused) {
  constexpr size_t kHead = 88;
  EXPECT_FALSE(decode_all(payload_with(an_append(), kHead + 19, '\x30')).is_ok());
  EXPECT_FALSE(decode_all(payload_with(an_append(), kHead + 18, '\x7f')).is_ok());
}

TEST(Batch, Entry_LargerThanALogRecordMayBe_IsRefused) {
  GroupMessage message = an_append();
  for (const size_t size : {limits::kProposalBytesMax, limits::kProposalBytesMax + 1}) {
    message.message.entries[1].data = SharedBytes::copy_of(std::string(size, 'v'));
    const std::string payload(payload_of(encode_all({message}), FrameKind::kBatch));
    EXPECT_EQ(decode_all(payload).is_ok(), size <= limits::kProposalBytesMax) << size;
  }
}

TEST(Batch, RequestAndResponse_ImpossibleFields_AreRefused) {
  const Request request{7, RequestKind::kPropose, GroupId(8), SharedBytes::copy_of("q")};
  const Response response{7, StatusCode::kNotLeader, SharedBytes::copy_of("r")};
  for (const char kind : {'\0', '\4', '\xff'}) {
    EXPECT_FALSE(decode_all(payload_with(request, 1, kind)).is_ok());
  }
  EXPECT_FALSE(decode_all(payload_with(response, 1, '\x7f')).is_ok());
  for (const size_t at : {size_t{2}, size_t{3}, size_t{7}}) {
    EXPECT_FALSE(decode_all(payload_with(request, at, '\x7f')).is_ok());
    EXPECT_FALSE(decode_all(payload_with(response, at, '\x7f')).is_ok());
  }
  for (size_t at = 28; at < 32; ++at) {
    EXPECT_FALSE(decode_all(payload_with(request, at, '\1')).is_ok());
  }
}

TEST(BatchDeathTest, LocalMessage_Encoded_IsAProgrammersError) {
  GroupMessage local;
  local.message.type = raft::MessageType::kHup;
  BatchEncoder encoder;
  EXPECT_DEATH(encoder.add(local), "does not travel in batches");
}

}  // namespace
}  // namespace multiraft::wire
