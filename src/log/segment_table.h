#pragma once
// The segments of a log as its owner sees them: which exist and what in each is still needed.

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "env/file_system.h"
#include "log/format.h"
#include "multiraft/types.h"

namespace multiraft::log {

/// An open segment. Read by the owner, written by the log thread, therefore shared; immutable but
/// for the bytes on disk.
struct SegmentFile {
  SegmentHeader header;
  std::unique_ptr<env::File> file;
  /// Opened past the page cache, for a writer that wants it so; null otherwise.
  std::unique_ptr<env::File> direct;
};

struct Segment {
  std::shared_ptr<SegmentFile> file;  ///< Null while it is being prepared.
  uint64_t live_bytes = 0;            ///< Of entries that some group still has here.
  uint64_t pins = 0;                  ///< Groups' marks, hard states, announcements that lie here.
  uint64_t entries = 0;               ///< Ever written here, roughly: sizes the footer.
  /// Every group that ever wrote here: where to look for what is live.
  std::vector<GroupId> groups;
  std::vector<GroupId> removed;  ///< Groups whose end is recorded here.

  bool needed() const { return live_bytes > 0 || pins > 0; }
};

/// Ids are contiguous: first_id() .. last_id(). The owner's thread only.
class SegmentTable {
 public:
  bool empty() const { return segments_.empty(); }
  size_t size() const { return segments_.size(); }
  uint64_t first_id() const { return first_id_; }
  uint64_t last_id() const { return first_id_ + segments_.size() - 1; }
  bool contains(uint64_t id) const { return id >= first_id_ && id - first_id_ < segments_.size(); }

  Segment& at(uint64_t id) {
    MR_ASSERT(contains(id));
    return segments_[id - first_id_];
  }
  /// The first one decides the id; later ones follow it.
  Segment& push_back(uint64_t id) {
    if (segments_.empty()) first_id_ = id;
    MR_ASSERT(id == first_id_ + segments_.size());
    return segments_.emplace_back();
  }
  void pop_front() {
    MR_ASSERT(!segments_.empty() && !segments_.front().needed());
    segments_.pop_front();
    ++first_id_;
  }

  /// The newest one, which was never written to.
  void pop_back() {
    MR_ASSERT(segments_.size() > 1 && !segments_.back().needed());
    segments_.pop_back();
  }

  void add_live(uint64_t id, uint64_t bytes, uint64_t entries = 1) {
    Segment& segment = at(id);
    segment.live_bytes += bytes;
    segment.entries += entries;
    live_bytes_ += bytes;
  }
  void drop_live(uint64_t id, uint64_t bytes) {
    Segment& segment = at(id);
    MR_ASSERT(segment.live_bytes >= bytes);
    segment.live_bytes -= bytes;
    live_bytes_ -= bytes;
  }
  /// `slot` remembers where something lies (0: nowhere); the segments count it.
  void move_pin(uint64_t& slot, uint64_t id) {
    if (slot != 0) {
      Segment& segment = at(slot);
      MR_ASSERT(segment.pins > 0);
      --segment.pins;
    }
    if (id != 0) ++at(id).pins;
    slot = id;
  }
  uint64_t live_bytes() const { return live_bytes_; }

 private:
  std::deque<Segment> segments_;
  uint64_t first_id_ = 0;
  uint64_t live_bytes_ = 0;
};

}  // namespace multiraft::log
