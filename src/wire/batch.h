#pragma once
// A frame full of records: what one turn of a worker has to say to one node.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "multiraft/bytes.h"
#include "multiraft/status.h"
#include "wire/frame.h"
#include "wire/messages.h"

namespace multiraft::wire {

/// Space that a record takes in a batch.
size_t record_bytes(const GroupMessage& message);
size_t record_bytes(const Request& request);
size_t record_bytes(const Response& response);

/// Gathers records and becomes a frame. Payloads from kSpliceBytesMin on are not copied: they are
/// kept alive and sent from where they are.
class BatchEncoder {
 public:
  static constexpr size_t kSpliceBytesMin = 4 * limits::kKiB;
  static constexpr size_t kDurableBytes = 16;  ///< Of a Durable.

  BatchEncoder();

  bool empty() const { return records_ == 0; }
  uint32_t records() const { return records_; }
  /// Of the whole frame so far.
  size_t frame_bytes() const { return used_ + spliced_bytes_; }
  /// Whether a record of that size still fits into the frame.
  bool fits(size_t record) const {
    return record + kDurableBytes <= limits::kFrameBytesMax - frame_bytes();
  }

  /// The record fits. A message is of a kind that travels in batches (neither a proposal nor a
  /// snapshot): what a decoder would refuse is the sender's mistake.
  void add(const GroupMessage& message);
  void add(const Request& request);
  void add(const Response& response);
  /// At most once and last, behind the records, of which it is none. There is always room for it.
  void add(const Durable& durable);

  /// Completes the frame: its pieces in order, valid until the next call of anything else.
  std::span<const std::string_view> finish();
  /// Starts over; keeps memory of a usual size.
  void clear();

 private:
  struct Splice {
    size_t at;  ///< In the buffer: stands before this byte.
    SharedBytes bytes;
  };

  char* grow(size_t bytes);
  void add_payload(const SharedBytes& payload);

  std::unique_ptr<char[]> buffer_;
  size_t capacity_;
  size_t used_ = kFrameHeaderBytes;
  uint32_t records_ = 0;
  size_t spliced_bytes_ = 0;
  std::vector<Splice> splices_;
  std::vector<std::string_view> parts_;
};

/// Takes a batch's payload apart, one record after the other, without trust in any byte of it.
/// Entries' data and payloads outlive the batch and are kept by logs and queues: none of them keeps
/// a batch alive of which it is not at least half (SharedBytes::trimmed()).
class BatchReader {
 public:
  enum class Item : uint8_t { kMessage, kRequest, kResponse, kDurable, kEnd, kMalformed };

  explicit BatchReader(SharedBytes payload) : payload_(std::move(payload)) {}

  /// Decodes the next record. After kEnd or kMalformed there is nothing more.
  Item next();
  /// The record that next() has found: to be moved from.
  GroupMessage& message() { return message_; }
  Request& request() { return request_; }
  Response& response() { return response_; }
  const Durable& durable() const { return durable_; }
  /// After kMalformed: what and where.
  const Status& status() const { return status_; }

 private:
  Item read_message();
  Item read_request();
  Item read_response();
  Item read_durable();
  bool read_entries(uint32_t count);
  /// The next `size` bytes of the batch, which are there.
  SharedBytes take(size_t size);
  size_t remaining() const { return payload_.size() - position_; }
  const char* here() const { return payload_.data() + position_; }
  Item malformed(std::string_view what);

  SharedBytes payload_;
  size_t position_ = 0;
  GroupMessage message_;
  Request request_;
  Response response_;
  Durable durable_;
  Status status_;
};

}  // namespace multiraft::wire
