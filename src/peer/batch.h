#pragma once
// Batches of messages, requests and responses: the payload of a kBatch frame.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/shared_bytes.h"
#include "base/status.h"
#include "peer/frame.h"
#include "wire/messages.h"

namespace multiraft::peer {

/// Gathers records into one frame. Small payloads are copied into one buffer; large ones stay where
/// they are and are sent from there.
class BatchWriter {
 public:
  void add(const GroupMessage& message);
  void add(const Request& request);
  void add(const Response& response);

  bool empty() const { return records_ == 0; }
  size_t records() const { return records_; }
  size_t payload_bytes() const { return buffer_.size() + large_bytes_; }

  /// Ends the frame: header and payload as parts to write, in order. They stay valid until clear().
  std::vector<std::string_view> finish();
  /// Ready for the next batch; keeps the memory.
  void clear();

 private:
  void put_bytes(const SharedBytes& bytes);

  struct Large {
    size_t at = 0;  ///< Where it belongs in buffer_.
    SharedBytes bytes;
  };
  std::string header_;
  std::string buffer_;
  std::vector<Large> large_;
  size_t large_bytes_ = 0;
  size_t records_ = 0;
};

/// What a batch holds, in order.
class BatchVisitor {
 public:
  virtual ~BatchVisitor() = default;
  virtual void on_message(GroupMessage message) = 0;
  virtual void on_request(Request request) = 0;
  virtual void on_response(Response response) = 0;
};

/// Payloads become slices of `payload`. kInvalidArgument at the first malformed record; what came
/// before it has been visited.
Status decode_batch(const SharedBytes& payload, BatchVisitor& visitor);

// -- Snapshot streams.

std::string encode_snapshot_header(const SnapshotHeader& header);
Result<SnapshotHeader> decode_snapshot_header(std::string_view payload);

/// One chunk, numbered from 0; compressed (zstd) where that makes it smaller.
struct SnapshotChunk {
  uint64_t number = 0;
  std::string bytes;
};
std::string encode_snapshot_chunk(uint64_t number, std::string_view bytes);
Result<SnapshotChunk> decode_snapshot_chunk(std::string_view payload);

struct SnapshotEnd {
  uint64_t chunks = 0;
  uint64_t bytes = 0;
  uint32_t checksum = 0;  ///< CRC-32C of all chunks' bytes in order.
};
std::string encode_snapshot_end(const SnapshotEnd& end);
Result<SnapshotEnd> decode_snapshot_end(std::string_view payload);

std::string encode_snapshot_ack(const Status& status);
/// The receiver's status, or kInvalidArgument where it cannot be read.
Status decode_snapshot_ack(std::string_view payload);

}  // namespace multiraft::peer
