#include "wire/handshake.h"

#include "base/bytes.h"
#include "wire/status_code.h"

namespace multiraft::wire {
namespace {

Status malformed(std::string_view what) {
  return {StatusCode::kCorruption, "a malformed " + std::string(what)};
}

bool is_connection_kind(uint8_t kind) { return kind >= 1 && kind <= 3; }

}  // namespace

std::string encode(const Hello& hello) {
  std::string payload;
  ByteWriter out(payload);
  out.u8(static_cast<uint8_t>(hello.kind));
  out.u8(0);
  out.u16(0);
  out.u16(hello.worker);
  out.u16(hello.workers);
  out.u16(hello.version_min);
  out.u16(hello.version_max);
  out.u32(0);
  out.u64(hello.cluster.value);
  out.u64(hello.node.value);
  out.u64(hello.incarnation);
  out.u64(hello.to.value);
  out.u64(hello.state.high);
  out.u64(hello.state.low);
  out.u64(hello.life);
  encode_sequences(hello.recovered, out);
  out.sized(std::string_view(hello.raft_address).substr(0, Hello::kAddressBytesMax));
  return make_frame(FrameKind::kHello, payload);
}

Status decode(std::string_view payload, Hello& hello) {
  ByteReader in(payload);
  const uint8_t kind = in.u8();
  bool zero = (in.u8() | in.u16()) == 0;
  hello.worker = in.u16();
  hello.workers = in.u16();
  hello.version_min = in.u16();
  hello.version_max = in.u16();
  zero &= in.u32() == 0;
  hello.cluster = ClusterId(in.u64());
  hello.node = NodeId(in.u64());
  hello.incarnation = in.u64();
  hello.to = NodeId(in.u64());
  hello.state.high = in.u64();
  hello.state.low = in.u64();
  hello.life = in.u64();
  const bool sequences = decode_sequences(in, hello.recovered);
  const std::string_view address = sequences ? in.sized() : std::string_view();
  if (!sequences || !in.complete() || !zero || !is_connection_kind(kind) ||
      hello.worker >= hello.workers || hello.version_min > hello.version_max ||
      address.size() > Hello::kAddressBytesMax) {
    return malformed("hello");
  }
  hello.raft_address = address;
  hello.kind = static_cast<ConnectionKind>(kind);
  return Status::ok();
}

std::string encode(const HelloReply& reply) {
  std::string payload;
  ByteWriter out(payload);
  out.u8(static_cast<uint8_t>(reply.code));
  out.u8(0);
  out.u16(reply.version);
  out.u64(reply.cluster.value);
  out.u64(reply.node.value);
  out.u64(reply.incarnation);
  out.sized(std::string_view(reply.text).substr(0, HelloReply::kTextBytesMax));
  encode(reply.known, out);
  return make_frame(FrameKind::kHelloReply, payload);
}

Status decode(std::string_view payload, HelloReply& reply) {
  ByteReader in(payload);
  const uint8_t code = in.u8();
  const bool zero = in.u8() == 0;
  reply.version = in.u16();
  reply.cluster = ClusterId(in.u64());
  reply.node = NodeId(in.u64());
  reply.incarnation = in.u64();
  const std::string_view text = in.sized();
  if (!decode(in, reply.known) || !in.complete() || !zero || !is_status_code(code) ||
      text.size() > HelloReply::kTextBytesMax) {
    return malformed("answer to a hello");
  }
  reply.code = static_cast<StatusCode>(code);
  reply.text = text;
  return Status::ok();
}

std::string encode(const Received& received) {
  std::string payload;
  ByteWriter(payload).u64(received.bytes);
  return make_frame(FrameKind::kReceived, payload);
}

Status decode(std::string_view payload, Received& received) {
  ByteReader in(payload);
  received.bytes = in.u64();
  return in.complete() ? Status::ok() : malformed("count of received bytes");
}

}  // namespace multiraft::wire
