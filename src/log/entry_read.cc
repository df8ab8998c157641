#include "log/entry_read.h"

#include <algorithm>

#include "base/coverage.h"

namespace multiraft::log {
namespace {

/// One system call fetches at most this much.
constexpr uint64_t kReadBytesMax = 1024 * 1024;
constexpr uint64_t kReadGapBytesMax = 16 * 1024;

uint64_t end_of(const EntryRead::Place& place) {
  return uint64_t{place.offset} + kEntryHeaderBytes + place.data_bytes;
}

/// "FILE: <what> at offset N in entry I of group G".
std::string describe(const EntryRead& read, std::string_view what, size_t i) {
  return read.file->file->path() + ": " + std::string(what) + " at offset " +
         std::to_string(read.places[i].offset) + " in entry " + to_string(read.low + i) +
         " of group " + to_string(read.group);
}

Status damaged(const EntryRead& read, size_t i) {
  return {StatusCode::kCorruption, describe(read, "damage", i) + "; " + std::string(kHowToHeal)};
}

/// Behind the last place that one system call fetches together with the one at `from`.
size_t span_end(const EntryRead& read, size_t from) {
  const uint64_t start = read.places[from].offset;
  size_t i = from + 1;
  for (; i < read.places.size(); ++i) {
    const EntryRead::Place& place = read.places[i];
    if (!lie_together(read.places[i - 1], place) || end_of(place) - start > kReadBytesMax) break;
  }
  return i;
}

Status read_span(const EntryRead& read, size_t from, size_t to, std::vector<raft::Entry>& entries) {
  const uint64_t start = read.places[from].offset;
  const uint64_t size = end_of(read.places[to - 1]) - start;
  SharedBytes buffer = SharedBytes::allocate(size);
  Result<size_t> got = read.file->file->read_at(start, {buffer.mutable_data(), size});
  if (!got) {
    return {got.status().code(),
            describe(read, "a read failed", from) + ": " + got.status().message()};
  }
  uint64_t data_bytes = 0;
  for (size_t i = from; i < to; ++i) data_bytes += read.places[i].data_bytes;
  // Between small entries of a cold group the buffer holds mostly other groups' records.
  const bool sparse = data_bytes < size / 2;
  for (size_t i = from; i < to; ++i) {
    const EntryRead::Place& place = read.places[i];
    const size_t at = place.offset - start;
    EntryView view;
    const bool whole =
        at <= *got && decode_entry(buffer.view().substr(at, *got - at), read.low + i, view);
    if (!whole || view.data.size() != place.data_bytes || view.term != place.term ||
        view.checksum != entry_checksum(read.group, view)) {
      return damaged(read, i);
    }
    SharedBytes data = buffer.slice(at + kEntryHeaderBytes, view.data.size());
    if (sparse) data = std::move(data).trimmed();
    entries.push_back({view.term, view.index, view.type, std::move(data), view.checksum});
  }
  return Status::ok();
}

}  // namespace

bool lie_together(const EntryRead::Place& one, const EntryRead::Place& next) {
  return next.offset >= end_of(one) && next.offset - end_of(one) <= kReadGapBytesMax;
}

Result<std::vector<raft::Entry>> carry_out(const EntryRead& read) {
  std::vector<raft::Entry> entries;
  entries.reserve(read.places.size());
  for (size_t from = 0; from < read.places.size();) {
    const size_t to = span_end(read, from);
    MR_RETURN_IF_ERROR(read_span(read, from, to, entries));
    from = to;
  }
  return entries;
}

}  // namespace multiraft::log
