#pragma once
// The contents of a snapshot as they travel: compressed where it helps, numbered, summed up.

#include <zstd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "multiraft/status.h"
#include "wire/snapshot_frames.h"

namespace multiraft::transport {

/// Of one stream, at its beginning or its end.
struct ChunkTotals {
  uint64_t chunks = 0;
  uint64_t content_bytes = 0;
  uint32_t content_checksum = 0;

  void add(std::string_view content);
  wire::SnapshotEnd end() const { return {chunks, content_bytes, content_checksum}; }
};

class ChunkPacker {
 public:
  ChunkPacker();

  /// The next chunk with this content, 1 to SnapshotChunk::kContentBytesMax bytes. Its data is a
  /// view into `content` or into this, until the next call.
  wire::SnapshotChunk pack(std::string_view content);
  const ChunkTotals& totals() const { return totals_; }

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  bool compress(std::string_view content);

  std::unique_ptr<ZSTD_CCtx, Free> zstd_;
  std::string compressed_;
  uint32_t skip_ = 0;  ///< Chunks that are not worth a try, after one that did not shrink.
  ChunkTotals totals_;
};

class ChunkUnpacker {
 public:
  ChunkUnpacker();

  /// The content of the chunk, a view into it or into this until the next call. kCorruption: not
  /// the next one, or damaged.
  Result<std::string_view> unpack(const wire::SnapshotChunk& chunk);
  /// kCorruption: something is missing.
  Status check(const wire::SnapshotEnd& end) const;
  const ChunkTotals& totals() const { return totals_; }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };

  std::unique_ptr<ZSTD_DCtx, Free> zstd_;
  std::string content_;
  ChunkTotals totals_;
};

}  // namespace multiraft::transport
