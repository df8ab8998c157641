#include "log/group_state.h"

#include <algorithm>

#include "base/assert.h"
#include "raft/entry_checksum.h"

namespace multiraft::log {
namespace {

uint64_t live_size(uint32_t data_bytes) { return kEntryHeaderBytes + data_bytes; }

}  // namespace

GroupState::GroupState(GroupId group, GroupContext& context)
    : context_(context), group_(group), checksum_seed_(raft::group_checksum_seed(group)) {}

GroupState::~GroupState() {
  clear_entries();
  context_.segments.move_pin(states_in_.hard_state, 0);
  context_.segments.move_pin(states_in_.mark, 0);
  context_.segments.move_pin(states_in_.announced, 0);
}

std::vector<LogIndex> GroupState::conf_change_indexes(LogIndex low, LogIndex high) const {
  std::vector<LogIndex> indexes;
  auto at = std::lower_bound(conf_changes_.begin(), conf_changes_.end(), low.value);
  for (; at != conf_changes_.end() && *at < high.value; ++at) indexes.emplace_back(*at);
  return indexes;
}

bool GroupState::has_conf_change(LogIndex low, LogIndex high) const {
  const auto at = std::lower_bound(conf_changes_.begin(), conf_changes_.end(), low.value);
  return at != conf_changes_.end() && *at < high.value;
}

raft::InitialState GroupState::initial_state() const {
  raft::HardState state = hard_state_;
  // A mark is made of committed entries, and the commit index need not have been saved since.
  state.commit = std::max(state.commit, mark_->index);
  state.term = std::max(state.term, mark_->term);
  return {state, mark_->conf_state};
}

Result<Term> GroupState::term(LogIndex index) const {
  if (index == mark_->index) return mark_->term;
  if (index < mark_->index) {
    return Status(StatusCode::kNotFound, "index " + to_string(index) + " is compacted");
  }
  if (index.value >= end()) {
    return Status(StatusCode::kUnavailable, "index " + to_string(index) + " is beyond the log");
  }
  return Term(terms_.at(index.value));
}

Result<std::shared_ptr<const raft::Snapshot>> GroupState::snapshot() {
  if (mark_->empty()) return Status(StatusCode::kUnavailable, "the log was never compacted");
  return mark_;
}

void GroupState::set_hard_state(const raft::HardState& state, uint64_t segment) {
  hard_state_ = state;
  context_.segments.move_pin(states_in_.hard_state, segment);
}

void GroupState::set_mark(std::shared_ptr<const raft::Snapshot> mark, uint64_t segment) {
  mark_ = std::move(mark);
  context_.segments.move_pin(states_in_.mark, segment);
  if (announced_ && announced_->index <= mark_->index) set_announced(nullptr, 0);
}

void GroupState::set_announced(std::shared_ptr<const raft::Snapshot> snapshot, uint64_t segment) {
  announced_ = std::move(snapshot);
  context_.segments.move_pin(states_in_.announced, segment);
}

void GroupState::reset(std::shared_ptr<const raft::Snapshot> mark, uint64_t segment) {
  clear_entries();
  first_ = mark->index.value + 1;
  set_announced(nullptr, 0);
  set_mark(std::move(mark), segment);
}

void GroupState::place(const EntryMeta& entry, Location location) {
  refs_.push_back({location.offset, entry});
  terms_.append(entry.index.value, entry.term.value);
  segments_.append(entry.index.value, location.segment);
  if (entry.type != raft::EntryType::kNormal) conf_changes_.push_back(entry.index.value);
  count_entry(entry.data_bytes);
  context_.segments.add_live(location.segment, live_size(entry.data_bytes));
}

void GroupState::count_entry(uint32_t data_bytes) {
  bytes_ += data_bytes + kCountedOverhead;
  context_.bytes += data_bytes + kCountedOverhead;
  ++context_.entries;
}

void GroupState::append(const raft::Entry& entry, Location location) {
  MR_ASSERT(entry.index.value == end());
  place({entry.index, entry.term, entry.type, static_cast<uint32_t>(entry.data.size())}, location);
  Cached cached{entry.data.trimmed(), entry.checksum};
  context_.cache_bytes += cached.memory_bytes();
  cache_.push_back(std::move(cached));
}

void GroupState::truncate_from(LogIndex index) {
  const uint64_t from = std::max(index.value, first_);
  if (from >= end()) return;
  const size_t n = end() - from;
  drop_live(from, end());
  drop_cached_back(std::min(n, cache_.size()));
  refs_.pop_back(n);
  terms_.truncate_from(from);
  segments_.truncate_from(from);
  while (!conf_changes_.empty() && conf_changes_.back() >= from) conf_changes_.pop_back();
}

void GroupState::drop_through(LogIndex index) {
  if (index.value < first_) return;
  if (index.value + 1 >= end()) {
    clear_entries();
    first_ = index.value + 1;
    return;
  }
  const size_t n = index.value + 1 - first_;
  drop_live(first_, index.value + 1);
  if (cache_begin() <= index.value) drop_cached_front(index.value + 1 - cache_begin());
  refs_.pop_front(n);
  first_ += n;
  terms_.drop_below(first_);
  segments_.drop_below(first_);
  conf_changes_.erase(conf_changes_.begin(),
                      std::lower_bound(conf_changes_.begin(), conf_changes_.end(), first_));
}

void GroupState::relocate(uint64_t from, uint64_t to, LogIndex low,
                          const std::vector<uint32_t>& offsets) {
  const uint64_t begin = std::max(low.value, first_);
  const uint64_t limit = std::min(low.value + offsets.size(), end());
  uint64_t high = begin;
  uint64_t bytes = 0;
  for (; high < limit && segments_.at(high) == from; ++high) {
    Ref& moved = refs_[high - first_];
    moved.offset = offsets[high - low.value];
    bytes += live_size(moved.data_bytes());
  }
  if (begin >= high) return;
  segments_.assign(begin, high, end(), to);
  context_.segments.drop_live(from, bytes);
  context_.segments.add_live(to, bytes, high - begin);
}

bool GroupState::recover_entry(const EntryMeta& entry, Location location, uint64_t holes_max) {
  const uint64_t index = entry.index.value;
  if (mark_ && index <= mark_->index.value) return true;  // Gone since.
  // What lies between the mark and the first entry seen comes later, or finish_recovery()
  // complains.
  if (refs_.empty()) first_ = index;
  if (index < first_) {
    const uint64_t missing = first_ - index;
    if (missing > holes_max) return false;
    refs_.push_front(missing, Ref{});
    terms_.extend_down(index, 0);
    segments_.extend_down(index, 0);
    first_ = index;
  } else if (index > end()) {
    if (index - end() > holes_max) return false;
    while (end() < index) {
      terms_.append(end(), 0);
      segments_.append(end(), 0);
      refs_.push_back(Ref{});
    }
  }
  if (index == end()) {
    place(entry, location);
    return true;
  }
  drop_live(index, index + 1);
  refs_[index - first_] = {location.offset, entry};
  terms_.assign(index, index + 1, end(), entry.term.value);
  segments_.assign(index, index + 1, end(), location.segment);
  note_type(index, entry.type);
  count_entry(entry.data_bytes);
  context_.segments.add_live(location.segment, live_size(entry.data_bytes));
  return true;
}

Status GroupState::finish_recovery() {
  const std::string name = "group " + to_string(group_);
  if (!mark_) return {StatusCode::kCorruption, name + ": the beginning of its log is missing"};
  if (refs_.empty()) first_ = mark_->index.value + 1;
  uint64_t hole = first_ == mark_->index.value + 1 ? 0 : mark_->index.value + 1;
  for (const auto& run : segments_.runs()) {
    if (hole == 0 && run.value == 0) hole = run.first;
  }
  if (hole != 0) {
    return {StatusCode::kCorruption, name + ": entry " + std::to_string(hole) + " is missing"};
  }
  return Status::ok();
}

std::optional<std::pair<LogIndex, LogIndex>> GroupState::entries_in(uint64_t segment,
                                                                    LogIndex from) const {
  const auto& runs = segments_.runs();
  for (size_t i = 0; i < runs.size(); ++i) {
    const uint64_t run_end = i + 1 < runs.size() ? runs[i + 1].first : end();
    if (runs[i].value != segment || run_end <= from.value) continue;
    return std::pair(LogIndex(std::max(runs[i].first, from.value)), LogIndex(run_end));
  }
  return std::nullopt;
}

Location GroupState::location(LogIndex index) const {
  return {segments_.at(index.value), ref(index.value).offset};
}

uint64_t GroupState::data_bytes(LogIndex low, LogIndex high) const {
  uint64_t bytes = 0;
  for (uint64_t i = low.value; i < high.value; ++i) bytes += ref(i).data_bytes();
  return bytes;
}

void GroupState::move_states(const StateSegments& from, uint64_t to) {
  const auto move = [&](uint64_t& slot, uint64_t was) {
    if (slot != 0 && slot == was) context_.segments.move_pin(slot, to);
  };
  move(states_in_.hard_state, from.hard_state);
  move(states_in_.mark, from.mark);
  move(states_in_.announced, from.announced);
}

void GroupState::evict_before(Location end_location) {
  size_t n = 0;
  const uint64_t begin = cache_begin();
  while (n < cache_.size() && location(LogIndex(begin + n)) < end_location) ++n;
  drop_cached_front(n);
}

size_t GroupState::memory_bytes() const {
  return sizeof *this + refs_.memory_bytes() +
         (cache_.memory_bytes() - cache_.size() * sizeof(Cached)) +
         terms_.runs().capacity() * sizeof(IndexRuns<uint64_t>::Run) +
         segments_.runs().capacity() * sizeof(IndexRuns<uint64_t>::Run) +
         conf_changes_.capacity() * sizeof(uint64_t);
}

void GroupState::drop_live(uint64_t low, uint64_t high) {
  const auto& runs = segments_.runs();
  for (size_t run = low < high ? segments_.run_of(low) : 0; low < high; ++run) {
    const uint64_t run_end = run + 1 < runs.size() ? std::min(runs[run + 1].first, high) : high;
    uint64_t data_bytes = 0;
    const uint64_t count = run_end - low;
    for (; low < run_end; ++low) data_bytes += ref(low).data_bytes();
    if (runs[run].value == 0) continue;
    context_.segments.drop_live(runs[run].value, data_bytes + count * kEntryHeaderBytes);
    const uint64_t bytes = data_bytes + count * kCountedOverhead;
    bytes_ -= bytes;
    context_.bytes -= bytes;
    context_.entries -= count;
  }
}

void GroupState::drop_cached_front(size_t n) {
  for (size_t i = 0; i < n; ++i) context_.cache_bytes -= cache_[i].memory_bytes();
  cache_.pop_front(n);
}

void GroupState::drop_cached_back(size_t n) {
  const size_t size = cache_.size();
  for (size_t i = size - n; i < size; ++i) context_.cache_bytes -= cache_[i].memory_bytes();
  cache_.pop_back(n);
}

void GroupState::clear_entries() {
  drop_live(first_, end());
  drop_cached_front(cache_.size());
  refs_.clear();
  terms_.clear();
  segments_.clear();
  conf_changes_.clear();
}

void GroupState::note_type(uint64_t index, raft::EntryType type) {
  const auto at = std::lower_bound(conf_changes_.begin(), conf_changes_.end(), index);
  const bool listed = at != conf_changes_.end() && *at == index;
  const bool changes = type != raft::EntryType::kNormal;
  if (changes && !listed) conf_changes_.insert(at, index);
  if (!changes && listed) conf_changes_.erase(at);
}

}  // namespace multiraft::log
