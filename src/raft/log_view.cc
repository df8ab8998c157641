#include "raft/log_view.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/assert.h"
#include "base/coverage.h"

namespace multiraft::raft {
namespace {

/// How many of `entries` fit: at least one.
size_t count_within(std::span<const Entry> entries, size_t bytes_max) {
  size_t bytes = 0;
  size_t count = 0;
  for (const Entry& entry : entries) {
    bytes += entry_bytes(entry);
    if (bytes > bytes_max && count > 0) break;
    ++count;
  }
  return count;
}

}  // namespace

size_t payload_bytes(const std::vector<Entry>& entries) {
  size_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.data.size();
  return bytes;
}

LogView::LogView(Storage& storage, LogIndex committed, LogIndex applied, size_t applying_bytes_max)
    : storage_(storage),
      unstable_(storage.last_index() + 1),
      committed_(committed),
      applying_(applied),
      applied_(applied),
      applying_bytes_max_(applying_bytes_max) {
  MR_ASSERT(storage.first_index() <= applied + 1);
  MR_ASSERT(applied <= committed);
  MR_ASSERT(committed <= storage.last_index());
}

LogIndex LogView::first_index() const {
  if (unstable_.snapshot()) return unstable_.snapshot()->index + 1;
  return storage_.first_index();
}

LogIndex LogView::last_index() const {
  if (!unstable_.empty()) return unstable_.back().index;
  if (unstable_.snapshot()) return unstable_.snapshot()->index;
  return storage_.last_index();
}

LogPosition LogView::last() const {
  if (!unstable_.empty()) return {unstable_.back().term, unstable_.back().index};
  const LogIndex index = last_index();
  const Result<Term> known = term(index);
  MR_ASSERT_MSG(known.is_ok(), "storage does not know the term of its last entry");
  return {*known, index};
}

Result<Term> LogView::term(LogIndex index) const {
  if (const std::optional<Term> known = unstable_.term(index)) return *known;
  if (index + 1 < first_index()) return Status(StatusCode::kNotFound, "compacted");
  if (index > last_index()) return Status(StatusCode::kUnavailable, "beyond the log");
  return storage_.term(index);
}

bool LogView::matches(LogPosition position) const {
  const Result<Term> known = term(position.index);
  return known.is_ok() && *known == position.term;
}

bool LogView::is_up_to_date(LogPosition other) const {
  const LogPosition mine = last();
  return other.term > mine.term || (other.term == mine.term && other.index >= mine.index);
}

Result<std::vector<Entry>> LogView::entries(LogIndex low, size_t bytes_max) const {
  const LogIndex end = last_index() + 1;
  if (low >= end) return std::vector<Entry>();
  return slice(low, end, bytes_max);
}

Result<std::vector<Entry>> LogView::slice(LogIndex low, LogIndex high, size_t bytes_max) const {
  MR_ASSERT(low <= high && high <= last_index() + 1);
  if (low == high) return std::vector<Entry>();
  const LogIndex offset = unstable_.offset();
  if (low >= offset) {
    const auto tail = unstable_.entries().subspan(low - offset, high - low);
    const size_t count = count_within(tail, bytes_max);
    return std::vector<Entry>(tail.begin(), tail.begin() + static_cast<ptrdiff_t>(count));
  }

  // Below the snapshot on its way nothing is left, whatever storage still holds.
  if (low < first_index()) return Status(StatusCode::kNotFound, "compacted");
  const LogIndex stored_end = std::min(high, offset);
  Result<std::vector<Entry>> stored = storage_.entries(low, stored_end, bytes_max);
  if (!stored.is_ok()) return stored;
  MR_ASSERT_MSG(!stored->empty() && stored->front().index == low, "storage: wrong entries");
  if (high <= offset || stored->back().index + 1 < stored_end) return stored;

  size_t bytes = 0;
  for (const Entry& entry : *stored) bytes += entry_bytes(entry);
  for (const Entry& entry : unstable_.entries().first(high - offset)) {
    bytes += entry_bytes(entry);
    if (bytes > bytes_max) break;
    stored->push_back(entry);
  }
  return stored;
}

LogIndex LogView::find_difference(const std::vector<Entry>& entries) const {
  const LogIndex end = last_index();
  for (const Entry& entry : entries) {
    if (entry.index > end || !matches({entry.term, entry.index})) return entry.index;
  }
  return LogIndex();
}

bool LogView::has_conf_change(LogIndex low, LogIndex high) const {
  MR_ASSERT(low <= high && high <= last_index() + 1);
  const LogIndex offset = unstable_.offset();
  if (low < std::min(high, offset) && storage_.has_conf_change(low, std::min(high, offset))) {
    return true;
  }
  if (high <= offset) return false;
  const LogIndex from = std::max(low, offset);
  for (const Entry& entry : unstable_.entries().subspan(from - offset, high - from)) {
    if (entry.type != EntryType::kNormal) return true;
  }
  return false;
}

LogView::Append LogView::maybe_append(LogPosition previous, std::vector<Entry> entries,
                                      LogIndex leader_commit) {
  if (!matches(previous)) return {Append::Outcome::kMismatch, {}};
  const LogIndex last_new = previous.index + entries.size();
  // Only a real difference truncates: a delayed append that holds a prefix of what is here must not
  // take back what was acknowledged since.
  const LogIndex difference = find_difference(entries);
  if (difference) {
    if (difference <= committed_) return {Append::Outcome::kContradiction, {}};
    const size_t known = difference - (previous.index + 1);
    if (known > 0) entries.erase(entries.begin(), entries.begin() + static_cast<ptrdiff_t>(known));
    append(std::move(entries));
  }
  // What follows the last new entry may differ from the leader's log: it is not committed by this.
  commit_to(std::min(leader_commit, last_new));
  return {Append::Outcome::kDone, last_new};
}

void LogView::append(std::vector<Entry> entries) {
  if (entries.empty()) return;
  MR_ASSERT_MSG(entries.front().index > committed_, "a committed entry would be replaced");
  unstable_.truncate_and_append(std::move(entries));
}

LogPosition LogView::find_conflict(LogIndex index, Term term_max) const {
  for (; index > LogIndex(); index = index - 1) {
    const Result<Term> known = term(index);
    if (!known.is_ok()) return {Term(), index};
    if (*known <= term_max) return {*known, index};
  }
  return {};
}

void LogView::commit_to(LogIndex index) {
  if (index <= committed_) return;
  MR_ASSERT_MSG(index <= last_index(), "commit beyond the log");
  committed_ = index;
}

void LogView::restore(std::shared_ptr<const Snapshot> snapshot) {
  committed_ = snapshot->index;
  unstable_.restore(std::move(snapshot));
}

LogIndex LogView::max_appliable(bool allow_unstable) const {
  return allow_unstable ? committed_ : std::min(committed_, stable_index());
}

bool LogView::has_next_committed(bool allow_unstable) const {
  if (applying_held_) return false;
  // Until a snapshot is installed the state machine is behind the log's beginning.
  if (unreadable_ || applying_paused_ || has_snapshot()) return false;
  return applying_ < max_appliable(allow_unstable);
}

std::vector<Entry> LogView::next_committed(bool allow_unstable) {
  if (!has_next_committed(allow_unstable)) return {};
  MR_ASSERT(applying_bytes_ < applying_bytes_max_);
  Result<std::vector<Entry>> entries = slice(applying_ + 1, max_appliable(allow_unstable) + 1,
                                             applying_bytes_max_ - applying_bytes_);
  if (entries.is_ok()) return std::move(*entries);
  MR_ASSERT_MSG(entries.status().code() != StatusCode::kNotFound,
                "storage does not have a committed entry that was not applied");
  // Storage is reading them, or reports why it cannot to whoever owns it. Here they must not look
  // like work that is ready: the caller would come back at once, and for ever.
  MR_COVERAGE("raft: committed entries could not be read");
  unreadable_ = true;
  return {};
}

void LogView::accept_applying(const std::vector<Entry>& entries, bool allow_unstable) {
  MR_ASSERT(!entries.empty() && entries.front().index == applying_ + 1);
  Applying batch;
  batch.last = entries.back().index;
  batch.payload_bytes = payload_bytes(entries);
  for (const Entry& entry : entries) batch.bytes += entry_bytes(entry);
  applying_ = batch.last;
  applying_bytes_ += batch.bytes;
  // A batch that was cut short has used up the limit, even where a larger entry did not fit into
  // what was left of it.
  applying_paused_ =
      applying_bytes_ >= applying_bytes_max_ || applying_ < max_appliable(allow_unstable);
  batches_.push_back(batch);
}

size_t LogView::applied_to(LogIndex index) {
  MR_ASSERT(applied_ <= index && index <= committed_);
  applied_ = index;
  applying_ = std::max(applying_, index);
  size_t payload = 0;
  size_t done = 0;
  for (; done < batches_.size() && batches_[done].last <= index; ++done) {
    applying_bytes_ -= batches_[done].bytes;
    payload += batches_[done].payload_bytes;
  }
  batches_.erase(batches_.begin(), batches_.begin() + static_cast<ptrdiff_t>(done));
  applying_paused_ = applying_bytes_ >= applying_bytes_max_;
  return payload;
}

void LogView::shrink() {
  unstable_.shrink();
  if (batches_.empty()) std::vector<Applying>().swap(batches_);
}

}  // namespace multiraft::raft
