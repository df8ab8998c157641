// Snapshots from node to node.

#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "base/assert.h"
#include "base/coverage.h"
#include "base/prng.h"
#include "env/posix/posix_env.h"
#include "transport/snapshot/chunk_codec.h"
#include "transport/snapshot/snapshot_throttle.h"
#include "transport/testing/test_node.h"
#include "wire/testing/samples.h"

namespace multiraft::transport {
namespace {

std::string noise(size_t bytes, uint64_t seed) {
  Prng random(seed);
  std::string out(bytes, '\0');
  for (char& c : out) c = static_cast<char>(random.next());
  return out;
}

/// Mostly repetitive, sometimes random.
std::string content(uint64_t number) {
  return number % 20 == 19 ? noise(100'000 + number, number)
                           : std::string(200'000 + number, static_cast<char>('a' + number));
}

std::unique_ptr<ChunkSource> source_of(uint64_t chunks) {
  return std::make_unique<GeneratedSource>(
      [chunks](uint64_t n) { return n < chunks ? content(n) : std::string(); });
}

class SnapshotStreamTest : public ::testing::Test {
 protected:
  std::unique_ptr<env::Environment> env_ = env::make_posix_environment();
};

TEST_F(SnapshotStreamTest, Chunks_OfAllKinds_ArriveAsTheyWere) {
  TestNode a(*env_, 1), b(*env_, 2);
  a.meet(b);
  constexpr uint64_t kChunks = 25;
  ASSERT_EQ(a.send_snapshot(b.id(), source_of(kChunks)), Status::ok());
  const SnapshotInbox::State state = b.inbox.state.get();
  ASSERT_EQ(state.finished.size(), 1u);
  EXPECT_EQ(state.finished[0].group, GroupId(9));
  EXPECT_EQ(state.finished[0].from, ReplicaId::make(a.id(), 1));
  EXPECT_EQ(state.finished[0].to, ReplicaId::make(b.id(), 2));
  EXPECT_EQ(state.finished[0].term, Term(3));
  EXPECT_EQ(state.finished[0].snapshot.index, LogIndex(100));
  ASSERT_EQ(state.contents[0].size(), kChunks);
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < kChunks; ++i) {
    EXPECT_TRUE(state.contents[0][i] == content(i)) << i;
    bytes += content(i).size();
  }
  // What repeats itself was compressed.
  EXPECT_LT(a.transport->stats().bytes_sent, bytes / 2);
}

TEST_F(SnapshotStreamTest, NoChunks_IsASnapshotToo) {
  TestNode a(*env_, 1), b(*env_, 2);
  a.meet(b);
  ASSERT_EQ(a.send_snapshot(b.id(), source_of(0)), Status::ok());
  EXPECT_EQ(b.inbox.state.get().contents[0].size(), 0u);
}

TEST_F(SnapshotStreamTest, Chunk_OfALargeValue_Arrives) {
  TestNode a(*env_, 1), b(*env_, 2);
  a.meet(b);
  const std::string large = noise(limits::kValueBytesMax + 1000, 5);
  ASSERT_EQ(a.send_snapshot(b.id(), std::make_unique<GeneratedSource>(
                                        [&](uint64_t n) { return n < 3 ? large : std::string(); })),
            Status::ok());
  const auto state = b.inbox.state.get();
  ASSERT_EQ(state.contents[0].size(), 3u);
  for (const std::string& chunk : state.contents[0]) EXPECT_TRUE(chunk == large);
}

TEST_F(SnapshotStreamTest, Several_AtOnce_AllArrive) {
  TestNode a(*env_, 1), b(*env_, 2), c(*env_, 3);
  a.meet(b);
  a.meet(c);
  Watched<int> done;
  for (TestNode* to : {&b, &c, &b, &c, &b}) {
    wire::SnapshotHeader header;
    header.from = ReplicaId::make(a.id(), 1);
    header.to = ReplicaId::make(to->id(), 2);
    header.snapshot.index = LogIndex(1);
    a.transport->send_snapshot(to->id(), header, source_of(10), a.other_executor(),
                               [&](const Status& status) {
                                 EXPECT_EQ(status, Status::ok());
                                 done.change([](int& n) { ++n; });
                               });
  }
  ASSERT_TRUE(done.wait_for([](int n) { return n == 5; }));
  EXPECT_EQ(b.inbox.state.get().finished.size(), 3u);
  EXPECT_EQ(c.inbox.state.get().finished.size(), 2u);
}

TEST_F(SnapshotStreamTest, Rate_Limited_ArrivesAllTheSame) {
  TestNode a(*env_, 1,
             {.adjust = [](TransportOptions& o) { o.snapshot_bytes_per_second = 20'000'000; }});
  TestNode b(*env_, 2);
  a.meet(b);
  ASSERT_EQ(a.send_snapshot(b.id(), source_of(20)), Status::ok());
  EXPECT_EQ(b.inbox.state.get().contents[0].size(), 20u);
}

TEST_F(SnapshotStreamTest, Receiver_Refuses_ItsWordsComeBack) {
  TestNode a(*env_, 1), b(*env_, 2);
  a.meet(b);
  b.inbox.refusal = Status(StatusCode::kOverloaded, "too many snapshots arrive already");
  EXPECT_EQ(a.send_snapshot(b.id(), source_of(50)),
            Status(StatusCode::kOverloaded, "node 2: too many snapshots arrive already"));
  EXPECT_EQ(b.inbox.state.get().begun, 0u);
}

TEST_F(SnapshotStreamTest, Sink_Fails_TheSenderIsToldAndTheRestDiscarded) {
  TestNode a(*env_, 1), b(*env_, 2);
  a.meet(b);
  b.inbox.fail_at_chunk = 3;
  EXPECT_EQ(a.send_snapshot(b.id(), source_of(200)),
            Status(StatusCode::kNoSpace, "node 2: the disk is full"));
  const auto state = b.inbox.state.get();
  EXPECT_EQ(state.begun, 1u);
  EXPECT_EQ(state.discarded, 1u);
  EXPECT_TRUE(state.finished.empty());
}

TEST_F(SnapshotStreamTest, Finish_Fails_TheSenderIsTold) {
  TestNode a(*env_, 1), b(*env_, 2);
  a.meet(b);
  b.inbox.finish_status = Status(StatusCode::kIoError, "cannot sync");
  EXPECT_EQ(a.send_snapshot(b.id(), source_of(2)),
            Status(StatusCode::kIoError, "node 2: cannot sync"));
}

/// A node that does not wait long for a broken stream to go on.
void impatient(TransportOptions& options) {
  options.snapshot_resume_max_ns = 50 * env::kMillisecond;
}

TEST_F(SnapshotStreamTest, Source_Fails_TheReceiverDiscards) {
  TestNode a(*env_, 1), b(*env_, 2, {.adjust = impatient});
  a.meet(b);
  const Status why(StatusCode::kIoError, "cannot read");
  auto source = std::make_unique<GeneratedSource>([&](uint64_t n) {
    return n < 2 ? Result<std::string>(content(n)) : Result<std::string>(why);
  });
  EXPECT_EQ(a.send_snapshot(b.id(), std::move(source)), why);
  ASSERT_TRUE(
      b.inbox.state.wait_for([](const auto& s) { return s.discarded == s.begun && s.begun == 1; }));
  EXPECT_TRUE(b.inbox.state.get().finished.empty());
}

TEST_F(SnapshotStreamTest, Chunk_LargerThanAFrame_IsAnError) {
  TestNode a(*env_, 1), b(*env_, 2);
  a.meet(b);
  auto source = std::make_unique<GeneratedSource>(
      [](uint64_t) { return std::string(limits::kFrameBytesMax, 'x'); });
  EXPECT_EQ(a.send_snapshot(b.id(), std::move(source)).code(), StatusCode::kTooLarge);
}

TEST_F(SnapshotStreamTest, NodeWithoutAddress_IsUnavailable) {
  TestNode a(*env_, 1);
  EXPECT_EQ(a.send_snapshot(NodeId(2), source_of(1)).code(), StatusCode::kUnavailable);
}

TEST_F(SnapshotStreamTest, NobodyThere_IsUnavailable) {
  TestNode a(*env_, 1);
  {
    TestNode gone(*env_, 2);
    a.transport->set_address(gone.id(), gone.address());
  }
  EXPECT_EQ(a.send_snapshot(NodeId(2), source_of(1)).code(), StatusCode::kUnavailable);
}

TEST_F(SnapshotStreamTest, AnotherCluster_Refuses) {
  TestNode a(*env_, 1), b(*env_, 2, {.cluster = ClusterId(78)});
  a.transport->set_address(b.id(), b.address());
  const Status status = a.send_snapshot(b.id(), source_of(1));
  EXPECT_EQ(status.code(), StatusCode::kConflict);
  EXPECT_NE(status.message().find("belongs to another cluster"), std::string::npos);
}

TEST_F(SnapshotStreamTest, Receiver_StopsInTheMiddle_TheSenderIsTold) {
  TestNode a(*env_, 1, {.adjust = impatient});
  auto b = std::make_unique<TestNode>(*env_, 2);
  a.meet(*b);
  // The source ends the receiver's life after some chunks; it is called on a thread of its own.
  auto source = std::make_unique<GeneratedSource>([&](uint64_t n) {
    if (n == 5) b->transport->stop();
    return content(n);  // Without end.
  });
  const Status status = a.send_snapshot(b->id(), std::move(source));
  EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status.to_string();
  EXPECT_EQ(b->inbox.state.get().discarded, 1u);
}

TEST_F(SnapshotStreamTest, Sender_StopsInTheMiddle_TheReceiverDiscards) {
  TestNode a(*env_, 1), b(*env_, 2, {.adjust = impatient});
  a.meet(b);
  wire::SnapshotHeader header;
  header.from = ReplicaId::make(a.id(), 1);
  header.to = ReplicaId::make(b.id(), 2);
  Watched<std::vector<Status>> done;
  auto endless = std::make_unique<GeneratedSource>(content);
  a.transport->send_snapshot(b.id(), header, std::move(endless), a.other_executor(),
                             [&](Status s) { done.change([&](auto& d) { d.push_back(s); }); });
  ASSERT_TRUE(b.inbox.state.wait_for([](const auto& s) { return s.begun == 1; }));
  a.transport->stop();
  ASSERT_TRUE(done.wait_for([](const auto& d) { return d.size() == 1; }));
  EXPECT_EQ(done.get()[0].code(), StatusCode::kCancelled);
  ASSERT_TRUE(b.inbox.state.wait_for([](const auto& s) { return s.discarded == 1; }));
  // After the end there is an answer, too.
  a.transport->send_snapshot(b.id(), header, source_of(1), a.other_executor(),
                             [&](Status s) { done.change([&](auto& d) { d.push_back(s); }); });
  ASSERT_TRUE(done.wait_for([](const auto& d) { return d.size() == 2; }));
}

TEST_F(SnapshotStreamTest, Receiver_ThatTakesNothing_IsGivenUp) {
  FakeNode fake(*env_, wire::encode(welcome_of(2)));
  TestNode a(*env_, 1, {.adjust = [](TransportOptions& o) {
    o.snapshot_silence_max_ns = 50 * env::kMillisecond;
  }});
  a.transport->set_address(NodeId(2), fake.address());
  EXPECT_EQ(a.send_snapshot(NodeId(2), source_of(1)),
            Status(StatusCode::kUnavailable, "node 2 takes no more of the snapshot"));
}

TEST_F(SnapshotStreamTest, Receiver_ThatConfirmsWhatWasNotSent_IsNotBelieved) {
  const wire::SnapshotAck go_on, early{0, true, StatusCode::kOk, ""}, beyond{5, false, {}, ""};
  for (const std::string& acks :
       {wire::encode(early), wire::encode(beyond), wire::encode(go_on) + wire::encode(early),
        wire::encode(wire::Received{1}), std::string(50, 'x')}) {
    TestNode a(*env_, 1);
    // Welcomed and answered by hand, since no transport would say it.
    auto executor = env_->start_executor("rogue");
    std::unique_ptr<env::Stream> stream;
    const std::string welcome = wire::encode(welcome_of(2));
    std::string hello(wire::encode(wire::Hello{}).size(), '\0');
    auto listener = env_->network().listen(
        *executor, {"127.0.0.1", 0}, [&](std::unique_ptr<env::Stream> accepted) {
          stream = std::move(accepted);
          stream->read_some(hello, [&](const Result<size_t>&) {
            const std::array<std::string_view, 1> parts = {welcome};
            stream->write(parts, [&](const Status&) {
              stream->read_some(hello, [&](const Result<size_t>&) {
                const std::array<std::string_view, 1> answer = {acks};
                stream->write(answer, [](const Status&) {});
              });
            });
          });
        });
    ASSERT_TRUE(listener.is_ok());
    a.transport->set_address(NodeId(2), {"127.0.0.1", (*listener)->port()});
    EXPECT_EQ(a.send_snapshot(NodeId(2), std::make_unique<GeneratedSource>(content)).code(),
              StatusCode::kCorruption);
    executor->stop();
  }
}

// -- Connections that break.

/// Stands between two nodes. The first connection is cut once `cut_after` bytes went towards the
/// target; later ones pass.
class CuttingProxy {
 public:
  CuttingProxy(env::Environment& env, env::Address target, size_t cut_after)
      : env_(env),
        target_(std::move(target)),
        cut_after_(cut_after),
        executor_(env.start_executor("proxy")) {
    auto listener = env.network().listen(
        *executor_, {"127.0.0.1", 0},
        [this](std::unique_ptr<env::Stream> accepted) { connect(std::move(accepted)); });
    MR_ASSERT(listener.is_ok());
    listener_ = std::move(*listener);
  }
  ~CuttingProxy() { executor_->stop(); }
  env::Address address() const { return {"127.0.0.1", listener_->port()}; }

 private:
  struct Pipe {
    std::unique_ptr<env::Stream> client, server;
    std::array<char, 4096> up, down;
    size_t budget = 0;
  };

  void connect(std::unique_ptr<env::Stream> accepted) {
    pipes_.push_back(std::make_unique<Pipe>());
    Pipe& pipe = *pipes_.back();
    pipe.client = std::move(accepted);
    pipe.budget = pipes_.size() == 1 ? cut_after_ : SIZE_MAX;
    env_.network().connect(*executor_, target_, 20 * env::kSecond,
                           [this, &pipe](Result<std::unique_ptr<env::Stream>> server) {
                             if (!server) return pipe.client->close();
                             pipe.server = std::move(*server);
                             pump(pipe, *pipe.client, *pipe.server, pipe.up, true);
                             pump(pipe, *pipe.server, *pipe.client, pipe.down, false);
                           });
  }
  void pump(Pipe& pipe, env::Stream& from, env::Stream& to, std::array<char, 4096>& buffer,
            bool counted) {
    from.read_some(buffer, [this, &pipe, &from, &to, &buffer, counted](Result<size_t> n) {
      if (!n || *n == 0) return cut(pipe);
      const size_t bytes = counted ? std::min(*n, pipe.budget) : *n;
      if (counted) pipe.budget -= bytes;
      const std::array<std::string_view, 1> parts = {std::string_view(buffer.data(), bytes)};
      to.write(parts, [this, &pipe, &from, &to, &buffer, counted](const Status& status) {
        if (!status || (counted && pipe.budget == 0)) return cut(pipe);
        pump(pipe, from, to, buffer, counted);
      });
    });
  }
  static void cut(Pipe& pipe) {
    pipe.client->close();
    pipe.server->close();
  }

  env::Environment& env_;
  const env::Address target_;
  const size_t cut_after_;
  std::unique_ptr<env::Executor> executor_;
  std::unique_ptr<env::Listener> listener_;
  std::vector<std::unique_ptr<Pipe>> pipes_;
};

TEST_F(SnapshotStreamTest, Connection_CutAnywhere_GoesOnWithWhatIsMissing) {
  constexpr uint64_t kChunks = 8;
  constexpr size_t kBytes = 4000;
  const size_t chunk_frame = wire::kFrameHeaderBytes + wire::SnapshotChunk::kHeadBytes + kBytes;
  const auto make = [](uint64_t n) { return n < kChunks ? noise(kBytes, n + 1) : std::string(); };
  // What goes before the first chunk: the hello and the header that TestNode::send_snapshot makes.
  wire::SnapshotHeader header;
  const ReplicaId from = ReplicaId::make(NodeId(1), 1), to = ReplicaId::make(NodeId(2), 2);
  header.snapshot = {LogIndex(100), Term(2), {{from}, {}, {to}, {}, false}};
  const size_t before = wire::encode(wire::Hello{}).size() + wire::encode(header).size();
  const size_t total = before + kChunks * chunk_frame + wire::encode(wire::SnapshotEnd{}).size();

  std::vector<size_t> cuts = {1, before - 1};
  for (uint64_t n = 0; n < kChunks; ++n) {
    const size_t begin = before + n * chunk_frame;
    cuts.insert(cuts.end(), {begin + 1, begin + chunk_frame / 2, begin + chunk_frame});
  }
  cuts.insert(cuts.end(), {total - 1, total});
  for (const size_t cut : cuts) {
    SCOPED_TRACE(cut);
    TestNode a(*env_, 1), b(*env_, 2);
    CuttingProxy proxy(*env_, b.address(), cut);
    b.know(a);
    a.transport->set_address(b.id(), proxy.address());
    const Status status = a.send_snapshot(b.id(), std::make_unique<GeneratedSource>(make));
    if (cut < before) {
      // It was not accepted yet: the leader decides again.
      EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status.to_string();
      continue;
    }
    ASSERT_EQ(status, Status::ok());
    const SnapshotInbox::State state = b.inbox.state.get();
    EXPECT_EQ(state.begun, 1u);
    EXPECT_EQ(state.discarded, 0u);
    ASSERT_EQ(state.contents.size(), 1u);
    ASSERT_EQ(state.contents[0].size(), kChunks);
    for (uint64_t n = 0; n < kChunks; ++n) EXPECT_TRUE(state.contents[0][n] == make(n)) << n;
    const TransportStats sent = a.transport->stats();
    // Only what was on the way went twice.
    EXPECT_LE(sent.snapshot_chunks_resent, limits::kSnapshotChunksAheadMax);
    EXPECT_EQ(sent.snapshot_chunks_sent, kChunks + sent.snapshot_chunks_resent);
    EXPECT_EQ(b.transport->stats().snapshot_bytes_received, kChunks * kBytes);
    EXPECT_EQ(sent.snapshots_sending, 0u);
  }
}

TEST_F(SnapshotStreamTest, Receiver_ForgotWhatItTook_TheSenderGivesUp) {
  // The receiver's patience ends at once, so the stream that comes back finds nothing.
  TestNode a(*env_, 1);
  TestNode b(*env_, 2, {.adjust = [](TransportOptions& o) { o.snapshot_resume_max_ns = 0; }});
  CuttingProxy proxy(*env_, b.address(), 2'000'000);
  b.know(a);
  a.transport->set_address(b.id(), proxy.address());
  const Status status = a.send_snapshot(b.id(), std::make_unique<GeneratedSource>([](uint64_t n) {
                                          return n < 40 ? noise(100'000, n + 1) : std::string();
                                        }));
  EXPECT_EQ(status,
            Status(StatusCode::kUnavailable, "node 2 no longer has what it took of the snapshot"));
  EXPECT_TRUE(b.inbox.state.get().finished.empty());
}

TEST(SnapshotThrottle, AllStreams_ShareOneRate_AndAPauseIsNoLicenceToBurst) {
  SnapshotThrottle throttle(1'000'000);
  env::MonotonicTime now{10 * env::kSecond};
  EXPECT_LE(throttle.free_at(), now);
  // 3 MB are due in 3 s, but for the tenth of a second that may be made up for.
  for (int i = 0; i < 30; ++i) throttle.spent(100'000, std::max(now, throttle.free_at()));
  EXPECT_EQ(throttle.free_at().ns, now.ns + 3 * env::kSecond - env::kSecond / 10);
  now.ns += 100 * env::kSecond;
  throttle.spent(1'000'000, now);
  EXPECT_EQ(throttle.free_at().ns, now.ns + 9 * env::kSecond / 10);
  SnapshotThrottle none(0);
  none.spent(1'000'000'000, now);
  EXPECT_LE(none.free_at(), now);
}

// -- Streams made by hand.

class RawSnapshotTest : public SnapshotStreamTest {
 protected:
  wire::SnapshotHeader header() {
    wire::SnapshotHeader header;
    header.from = ReplicaId::make(NodeId(3), 1);
    header.to = ReplicaId::make(node_.id(), 1);
    header.stream = ++streams_;
    header.snapshot.index = LogIndex(1);
    return header;
  }
  /// A stream that has been accepted.
  std::unique_ptr<RawConnection> begin() {
    auto stream = std::make_unique<RawConnection>(*env_, node_.address());
    EXPECT_EQ(stream->greet(hello_from(3, node_, wire::ConnectionKind::kSnapshot)).code,
              StatusCode::kOk);
    stream->write(wire::encode(header()));
    EXPECT_FALSE(read_ack(*stream).last);
    return stream;
  }
  static wire::SnapshotAck read_ack(RawConnection& stream) {
    wire::SnapshotAck ack;
    EXPECT_TRUE(wire::decode(stream.read_frame(wire::FrameKind::kSnapshotAck), ack).is_ok());
    return ack;
  }
  /// Sends and expects to be refused for good.
  void expect_refused(const std::vector<std::string>& frames, StatusCode code) {
    auto stream = begin();
    for (size_t i = 0; i < frames.size(); ++i) {
      stream->write(frames[i]);
      const wire::SnapshotAck ack = read_ack(*stream);
      EXPECT_EQ(ack.last, i + 1 == frames.size());
      EXPECT_EQ(ack.code, ack.last ? code : StatusCode::kOk) << ack.text;
    }
    stream->shutdown_write();
    EXPECT_EQ(stream->read_to_end(), "");
    EXPECT_TRUE(node_.inbox.state.get().finished.empty());
    EXPECT_TRUE(node_.inbox.state.wait_for([](const auto& s) { return s.discarded == s.begun; }));
  }
  static std::string frame(const wire::SnapshotChunk& chunk) {
    return wire::encode_head(chunk) + std::string(chunk.data);
  }
  static std::string chunk_frame(uint64_t number, std::string_view text) {
    ChunkPacker packer;
    wire::SnapshotChunk chunk = packer.pack(text);
    chunk.number = number;
    return frame(chunk);
  }

  uint64_t streams_ = 0;
  TestNode node_{*env_, 1, {.adjust = [](TransportOptions& o) {
                   o.snapshot_silence_max_ns = 300 * env::kMillisecond;
                   o.snapshot_resume_max_ns = 20 * env::kMillisecond;
                 }}};
};

TEST_F(RawSnapshotTest, Chunks_MissingDoubledOrOutOfOrder_AreRefused) {
  expect_refused({chunk_frame(1, "b")}, StatusCode::kCorruption);
  expect_refused({chunk_frame(0, "a"), chunk_frame(0, "a")}, StatusCode::kCorruption);
  expect_refused({chunk_frame(0, "a"), chunk_frame(2, "c")}, StatusCode::kCorruption);
}

TEST_F(RawSnapshotTest, End_ThatDoesNotAgree_IsRefused) {
  ChunkTotals totals;
  totals.add("a");
  wire::SnapshotEnd chunks = totals.end(), bytes = totals.end(), checksum = totals.end();
  ++chunks.chunks;
  ++bytes.content_bytes;
  ++checksum.content_checksum;
  for (const wire::SnapshotEnd& end : {chunks, bytes, checksum}) {
    expect_refused({chunk_frame(0, "a"), wire::encode(end)}, StatusCode::kCorruption);
  }
}

TEST_F(RawSnapshotTest, Content_ThatDoesNotMatch_IsRefused) {
  ChunkPacker packer;
  const std::string text(1000, 'x');
  wire::SnapshotChunk wrong_checksum = packer.pack(text);
  ASSERT_EQ(wrong_checksum.compression, wire::Compression::kZstd);
  ++wrong_checksum.content_checksum;
  wrong_checksum.number = 0;
  expect_refused({frame(wrong_checksum)}, StatusCode::kCorruption);
  wire::SnapshotChunk wrong_size = packer.pack(text);
  ++wrong_size.content_bytes;
  wrong_size.number = 0;
  expect_refused({frame(wrong_size)}, StatusCode::kCorruption);
  wire::SnapshotChunk no_zstd = packer.pack(text);
  no_zstd.number = 0;
  no_zstd.data = "this is no zstd";
  expect_refused({frame(no_zstd)}, StatusCode::kCorruption);
}

TEST_F(RawSnapshotTest, Frames_AtTheWrongPlace_AreRefused) {
  expect_refused({wire::encode(header())}, StatusCode::kCorruption);
  expect_refused({wire::encode(wire::Received{1})}, StatusCode::kCorruption);
  expect_refused({wire::make_frame(wire::FrameKind::kSnapshotChunk, "short")},
                 StatusCode::kCorruption);
  expect_refused({std::string(100, 'x')}, StatusCode::kCorruption);
  // The end at once is an empty snapshot, but not before the header.
  RawConnection stream(*env_, node_.address());
  ASSERT_EQ(stream.greet(hello_from(3, node_, wire::ConnectionKind::kSnapshot)).code,
            StatusCode::kOk);
  stream.write(wire::encode(wire::SnapshotEnd{}));
  EXPECT_EQ(read_ack(stream).code, StatusCode::kCorruption);
}

TEST_F(RawSnapshotTest, Header_OfOtherNodes_IsRefused) {
  for (const bool from : {true, false}) {
    wire::SnapshotHeader wrong = header();
    (from ? wrong.from : wrong.to) = ReplicaId::make(NodeId(8), 1);
    RawConnection stream(*env_, node_.address());
    ASSERT_EQ(stream.greet(hello_from(3, node_, wire::ConnectionKind::kSnapshot)).code,
              StatusCode::kOk);
    stream.write(wire::encode(wrong));
    EXPECT_EQ(read_ack(stream).code, StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(node_.inbox.state.get().begun, 0u);
}

TEST_F(RawSnapshotTest, Stream_CutAnywhere_IsDiscarded) {
  ChunkTotals totals;
  totals.add("abc");
  const std::string rest = chunk_frame(0, "abc") + wire::encode(totals.end());
  for (size_t n = 0; n < rest.size(); n += 9) {
    auto stream = begin();
    stream->write(rest.substr(0, n));
    stream->close();
  }
  ASSERT_TRUE(node_.inbox.state.wait_for([](const auto& s) { return s.discarded == s.begun; }));
  EXPECT_TRUE(node_.inbox.state.get().finished.empty());
}

TEST_F(RawSnapshotTest, Stream_OnWhichNothingMoves_IsGivenUp) {
  auto stream = begin();
  EXPECT_EQ(stream->read_to_end(), "");
  EXPECT_TRUE(node_.inbox.state.wait_for([](const auto& s) { return s.discarded == 1; }));
}

/// Answers when the test says so.
class HoldingReceiver final : public SnapshotReceiver {
 public:
  using Answer = Callback<void(Result<std::unique_ptr<ChunkSink>>)>;
  void on_snapshot(NodeId, const wire::SnapshotHeader&, Answer done) override {
    held.change(
        [&](auto& answers) { answers.push_back(std::make_shared<Answer>(std::move(done))); });
  }
  Watched<std::vector<std::shared_ptr<Answer>>> held;
};

TEST_F(SnapshotStreamTest, Header_ThatWaitsForItsTurn_IsToldSo_NowAndThen) {
  HoldingReceiver receiver;
  TestNode node(*env_, 1, {.adjust = [&](TransportOptions& o) {
    o.snapshot_receiver = &receiver;
    o.snapshot_silence_max_ns = 40 * env::kMillisecond;
  }});
  RawConnection stream(*env_, node.address());
  const wire::Hello hello = hello_from(3, node, wire::ConnectionKind::kSnapshot);
  ASSERT_EQ(stream.greet(hello).code, StatusCode::kOk);
  wire::SnapshotHeader header;
  header.group = GroupId(9);
  header.from = ReplicaId::make(NodeId(3), 1);
  header.to = ReplicaId::make(node.id(), 2);
  header.term = Term(3);
  header.stream = 5;
  header.snapshot = {LogIndex(100), Term(2), {{header.from}, {}, {header.to}, {}, false}};
  stream.write(wire::encode(header));
  // Longer than a silence that would end the stream.
  wire::SnapshotAck ack;
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(wire::decode(stream.read_frame(wire::FrameKind::kSnapshotAck), ack).is_ok());
    EXPECT_FALSE(ack.last);
    EXPECT_EQ(ack.code, StatusCode::kOverloaded);
  }
  const auto answers = receiver.held.get();
  ASSERT_EQ(answers.size(), 1u);
  node.snapshot_executor().run_and_wait(
      [&] { (*answers[0])(Status(StatusCode::kConflict, "not wanted any more")); });
  while (!ack.last) {
    ASSERT_TRUE(wire::decode(stream.read_frame(wire::FrameKind::kSnapshotAck), ack).is_ok());
  }
  EXPECT_EQ(ack.code, StatusCode::kConflict);
}

TEST_F(SnapshotStreamTest, Sender_ThatIsToldToWait_WaitsLongerThanASilence) {
  constexpr std::string_view kMark = "snapshot stream waits for its turn";
  HoldingReceiver receiver;
  const auto impatient = [](TransportOptions& o) {
    o.snapshot_silence_max_ns = 200 * env::kMillisecond;
  };
  TestNode a(*env_, 1, {.adjust = impatient});
  TestNode b(*env_, 2, {.adjust = [&](TransportOptions& o) {
    impatient(o);
    o.snapshot_receiver = &receiver;
  }});
  a.meet(b);
  // It is told so four times in that time.
  auto answerer = env_->start_executor("answerer");
  answerer->post([&, before = CoverageMark::hits_of(kMark)] {
    EXPECT_TRUE(receiver.held.wait_for([](const auto& held) { return held.size() == 1; }));
    while (CoverageMark::hits_of(kMark) < before + 9) std::this_thread::yield();
    b.snapshot_executor().post(
        [&] { (*receiver.held.get()[0])(Status(StatusCode::kNoSpace, "no room after all")); });
  });
  EXPECT_EQ(a.send_snapshot(b.id(), source_of(1)).code(), StatusCode::kNoSpace);
  EXPECT_EQ(receiver.held.get().size(), 1u);
  answerer->stop();
}

TEST_F(SnapshotStreamTest, Streams_BeyondTheLimit_AreRefused) {
  TestNode node(*env_, 1);
  const wire::Hello hello = hello_from(3, node, wire::ConnectionKind::kSnapshot);
  std::vector<std::unique_ptr<RawConnection>> streams;
  for (size_t i = 0; i < 7 * limits::kSnapshotsReceivingMax; ++i) {
    streams.push_back(std::make_unique<RawConnection>(*env_, node.address()));
    ASSERT_EQ(streams.back()->greet(hello).code, StatusCode::kOk);
  }
  RawConnection late(*env_, node.address());
  ASSERT_EQ(late.greet(hello).code, StatusCode::kOk);
  wire::SnapshotAck ack;
  ASSERT_TRUE(wire::decode(late.read_frame(wire::FrameKind::kSnapshotAck), ack).is_ok());
  EXPECT_TRUE(ack.last);
  EXPECT_EQ(ack.code, StatusCode::kOverloaded);
}

// -- Chunks.

TEST(ChunkCodec, Content_OfAnyKind_RoundTrips) {
  ChunkPacker packer;
  ChunkUnpacker unpacker;
  for (uint64_t i = 0; i < 30; ++i) {
    const std::string text = i % 5 == 4 ? "x" : content(i);
    const wire::SnapshotChunk chunk = packer.pack(text);
    EXPECT_EQ(chunk.number, i);
    const auto unpacked = unpacker.unpack(chunk);
    ASSERT_TRUE(unpacked.is_ok()) << unpacked.status().to_string();
    EXPECT_TRUE(*unpacked == text);
  }
  EXPECT_TRUE(unpacker.check(packer.totals().end()).is_ok());
}

TEST(ChunkCodec, Noise_TravelsAsItIs) {
  ChunkPacker packer;
  const std::string text = noise(100'000, 1);
  const wire::SnapshotChunk chunk = packer.pack(text);
  EXPECT_EQ(chunk.compression, wire::Compression::kNone);
  EXPECT_EQ(chunk.data.data(), text.data());
  // For a while no time is lost with further tries; then there is one.
  const std::string repetitive(100'000, 'r');
  int tries = 0;
  while (packer.pack(repetitive).compression == wire::Compression::kNone) ++tries;
  EXPECT_EQ(tries, 7);
}

}  // namespace
}  // namespace multiraft::transport
