#pragma once
// Makes segment files ready to be written and takes them back: the slow work, off the log thread.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "env/env.h"
#include "log/segment_table.h"
#include "multiraft/status.h"

namespace multiraft::log {

/// Used by one thread at a time.
///
/// File names carry the state, so that a crash between any two steps leaves nothing ambiguous: what
/// is called *.seg has a valid, durable header and is fully allocated; *.spare is whatever a
/// retired segment held; *.new is being filled.
class SegmentMaker {
 public:
  SegmentMaker(env::Environment& env, std::string directory, uint64_t segment_bytes,
               uint64_t log_id, size_t spares_max)
      : env_(env),
        directory_(std::move(directory)),
        segment_bytes_(segment_bytes),
        log_id_(log_id),
        spares_max_(spares_max) {}

  /// From now on prepare() also opens for direct access.
  void use_direct() { direct_ = true; }

  /// Files found at recovery that hold nothing needed.
  void add_spare(std::string name) { spares_.push_back(std::move(name)); }

  /// A durable, empty segment with this id: a spare used again, or a new file full of zeros, since
  /// overwriting allocated blocks costs half of what allocating them at commit time does.
  Result<std::shared_ptr<SegmentFile>> prepare(uint64_t id);
  /// The segment is not needed any more. It becomes a spare, or goes where there are enough.
  Status retire(uint64_t id);
  /// Opens what prepare() made, also in an earlier life.
  static Result<std::shared_ptr<SegmentFile>> open(env::FileSystem& files, const std::string& path);
  static Status open_directly(env::FileSystem& files, SegmentFile& segment);

 private:
  /// Gives the file a header and the segment's name.
  Result<std::shared_ptr<SegmentFile>> name_segment(const std::string& source, uint64_t id);
  Result<std::string> zeroed_file(uint64_t id);
  Result<std::string> recycled_file();
  std::string path(std::string_view name) const { return directory_ + "/" + std::string(name); }

  env::Environment& env_;
  std::string directory_;
  uint64_t segment_bytes_;
  uint64_t log_id_;
  size_t spares_max_;
  bool direct_ = false;
  std::vector<std::string> spares_;
};

}  // namespace multiraft::log
