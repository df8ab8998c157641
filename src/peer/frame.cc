#include "peer/frame.h"

#include "base/bytes.h"
#include "base/crc32c.h"

namespace multiraft::peer {
namespace {

constexpr uint32_t kMagic = 0x5446'524d;  // "MRFT"
constexpr size_t kTextBytesMax = 4096;

std::string header_fields(FrameKind kind, uint32_t payload_bytes) {
  std::string fields;
  ByteWriter w(fields);
  w.u32(kMagic);
  w.u16(kProtocolVersion);
  w.u16(static_cast<uint16_t>(kind));
  w.u32(payload_bytes);
  return fields;
}

Status malformed(const char* what) {
  return Status(StatusCode::kInvalidArgument, std::string("malformed ") + what);
}

std::string framed(FrameKind kind, std::string_view payload) {
  std::string out;
  begin_frame(out);
  out.append(payload);
  end_frame(out, 0, kind);
  return out;
}

}  // namespace

uint32_t frame_seed(FrameKind kind, uint32_t payload_bytes) {
  return crc32c(header_fields(kind, payload_bytes));
}

std::string encode_frame_header(FrameKind kind, uint32_t payload_bytes, uint32_t checksum) {
  std::string out = header_fields(kind, payload_bytes);
  ByteWriter(out).u32(checksum);
  return out;
}

void begin_frame(std::string& out) { out.append(kFrameHeaderBytes, '\0'); }

void end_frame(std::string& out, size_t start, FrameKind kind) {
  const std::string_view payload = std::string_view(out).substr(start + kFrameHeaderBytes);
  const auto size = static_cast<uint32_t>(payload.size());
  const std::string header =
      encode_frame_header(kind, size, crc32c(payload, frame_seed(kind, size)));
  out.replace(start, kFrameHeaderBytes, header);
}

Result<FrameHeader> decode_frame_header(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.u32() != kMagic) {
    return Status(StatusCode::kInvalidArgument, "not a multiraft node: the magic number is wrong");
  }
  if (const uint16_t version = in.u16(); version != kProtocolVersion) {
    return Status(StatusCode::kInvalidArgument, "protocol version " + std::to_string(version) +
                                                    " is not understood here, only " +
                                                    std::to_string(kProtocolVersion));
  }
  FrameHeader header;
  const uint16_t kind = in.u16();
  header.kind = static_cast<FrameKind>(kind);
  header.payload_bytes = in.u32();
  header.checksum = in.u32();
  if (!in.complete()) return malformed("frame header");
  if (kind < 1 || kind > 7) {
    return Status(StatusCode::kInvalidArgument, "unknown frame kind " + std::to_string(kind));
  }
  if (header.payload_bytes > limits::kFrameBytesMax) {
    return Status(
        StatusCode::kInvalidArgument,
        "a frame of " + std::to_string(header.payload_bytes) + " bytes is above the limit");
  }
  return header;
}

Status check_payload(const FrameHeader& header, std::string_view payload) {
  if (crc32c(payload, frame_seed(header.kind, header.payload_bytes)) != header.checksum) {
    return Status(StatusCode::kCorruption, "the frame's checksum does not match");
  }
  return Status::ok();
}

std::string encode_hello(const Hello& hello) {
  std::string payload;
  ByteWriter w(payload);
  w.u8(static_cast<uint8_t>(hello.kind));
  w.u64(hello.cluster.value);
  w.u64(hello.node.value);
  w.u64(hello.expected.value);
  w.u64(hello.incarnation);
  w.u32(hello.worker);
  w.u32(hello.workers);
  return framed(FrameKind::kHello, payload);
}

Result<Hello> decode_hello(std::string_view payload) {
  ByteReader in(payload);
  Hello hello;
  const uint8_t kind = in.u8();
  hello.kind = static_cast<ConnectionKind>(kind);
  hello.cluster = ClusterId(in.u64());
  hello.node = NodeId(in.u64());
  hello.expected = NodeId(in.u64());
  hello.incarnation = in.u64();
  hello.worker = in.u32();
  hello.workers = in.u32();
  if (!in.complete() || kind < 1 || kind > 3) return malformed("handshake");
  if (!hello.node || hello.node.value > limits::kNodeIdMax) return malformed("node id");
  return hello;
}

std::string encode_hello_reply(const HelloReply& reply) {
  std::string payload;
  ByteWriter w(payload);
  w.u8(reply.accepted ? 1 : 0);
  w.u8(reply.retry ? 1 : 0);
  w.u64(reply.cluster.value);
  w.u64(reply.node.value);
  w.u64(reply.incarnation);
  w.sized(reply.text);
  return framed(FrameKind::kHelloReply, payload);
}

Result<HelloReply> decode_hello_reply(std::string_view payload) {
  ByteReader in(payload);
  HelloReply reply;
  const uint8_t accepted = in.u8();
  const uint8_t retry = in.u8();
  reply.accepted = accepted == 1;
  reply.retry = retry == 1;
  reply.cluster = ClusterId(in.u64());
  reply.node = NodeId(in.u64());
  reply.incarnation = in.u64();
  reply.text = std::string(in.sized());
  if (!in.complete() || accepted > 1 || retry > 1 || reply.text.size() > kTextBytesMax) {
    return malformed("answer to a handshake");
  }
  return reply;
}

}  // namespace multiraft::peer
