#include "kv/snapshot_stream.h"

namespace multiraft::kv {
namespace {

class StreamReader final : public SnapshotReader {
 public:
  StreamReader(LogIndex index, Term term, std::unique_ptr<RecordCursor> cursor)
      : index_(index), term_(term), encoder_(index, term), cursor_(std::move(cursor)) {}

  LogIndex applied_index() const override { return index_; }
  Term applied_term() const override { return term_; }

  Status next(size_t bytes_target, std::string& chunk) override {
    chunk.clear();
    MR_RETURN_IF_ERROR(error_);
    if (!begun_) encoder_.begin(chunk);
    begun_ = true;
    while (!ended_) {
      Record record;
      const Result<bool> more = cursor_->next(record);
      if (!more) {
        // What this chunk has taken from the cursor is lost, so the stream cannot go on either.
        error_ = more.status();
        chunk.clear();
        return error_;
      }
      if (*more) {
        encoder_.record(record, chunk);
      } else {
        encoder_.end(chunk);
        ended_ = true;
      }
      if (chunk.size() >= bytes_target) break;
    }
    cursor_->pause();
    return Status::ok();
  }

 private:
  LogIndex index_;
  Term term_;
  SnapshotEncoder encoder_;
  std::unique_ptr<RecordCursor> cursor_;
  Status error_;
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<SnapshotReader> make_snapshot_reader(LogIndex index, Term term,
                                                     std::unique_ptr<RecordCursor> cursor) {
  return std::make_unique<StreamReader>(index, term, std::move(cursor));
}

Result<uint64_t> hash_of(LogIndex index, RecordCursor& cursor) {
  SnapshotEncoder encoder(index, Term());
  std::string scratch;
  Record record;
  while (true) {
    const Result<bool> more = cursor.next(record);
    if (!more) return more.status();
    if (!*more) return encoder.hash();
    scratch.clear();
    encoder.record(record, scratch);
  }
}

}  // namespace multiraft::kv
