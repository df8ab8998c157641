// What a batch of 32 messages costs to encode and to decode, checksums included: bench_wire

#include <benchmark/benchmark.h>

#include <string>

#include "base/assert.h"
#include "wire/batch.h"
#include "wire/testing/samples.h"

namespace multiraft::wire {
namespace {

constexpr int kMessages = 32;

/// As between a leader and a follower of that many groups: no entries (acknowledgements) for a
/// size of 0, otherwise one entry of that size each.
std::vector<GroupMessage> messages(size_t entry_bytes) {
  std::vector<GroupMessage> out;
  for (int i = 0; i < kMessages; ++i) {
    GroupMessage message;
    message.group = GroupId(static_cast<uint64_t>(i) + 1);
    raft::Message& m = message.message;
    m.type = entry_bytes == 0 ? raft::MessageType::kAppResp : raft::MessageType::kApp;
    m.from = ReplicaId::make(NodeId(1), 1);
    m.to = ReplicaId::make(NodeId(2), 2);
    m.term = Term(5);
    m.index = LogIndex(1000);
    m.commit = LogIndex(999);
    if (entry_bytes > 0) {
      m.entries.push_back({Term(5), LogIndex(1001), raft::EntryType::kNormal,
                           SharedBytes::copy_of(std::string(entry_bytes, 'x'))});
    }
    out.push_back(std::move(message));
  }
  return out;
}

void encode(benchmark::State& state) {
  const std::vector<GroupMessage> batch = messages(static_cast<size_t>(state.range(0)));
  BatchEncoder encoder;
  for (auto _ : state) {
    encoder.clear();
    for (const GroupMessage& message : batch) encoder.add(message);
    benchmark::DoNotOptimize(encoder.finish());
  }
  state.SetItemsProcessed(state.iterations() * kMessages);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(encoder.frame_bytes()));
}

/// Header, checksum and records, without the copy from the receive buffer.
void decode(benchmark::State& state) {
  BatchEncoder encoder;
  for (const GroupMessage& m : messages(static_cast<size_t>(state.range(0)))) encoder.add(m);
  const std::string frame = joined(encoder.finish());
  const SharedBytes payload = SharedBytes::copy_of(frame.substr(kFrameHeaderBytes));
  for (auto _ : state) {
    FrameHeader header;
    MR_ASSERT(decode_frame_header(frame, header).is_ok());
    MR_ASSERT(check_frame_payload(header, payload).is_ok());
    BatchReader reader(payload);
    while (reader.next() == BatchReader::Item::kMessage) {
      // As a receiver does, which takes what it gets.
      GroupMessage taken = std::move(reader.message());
      benchmark::DoNotOptimize(taken);
    }
  }
  state.SetItemsProcessed(state.iterations() * kMessages);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(frame.size()));
}

BENCHMARK(encode)->ArgName("entry_bytes")->Arg(0)->Arg(128)->Arg(16 * 1024);
BENCHMARK(decode)->ArgName("entry_bytes")->Arg(0)->Arg(128)->Arg(16 * 1024);

}  // namespace
}  // namespace multiraft::wire
