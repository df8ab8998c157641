// A group's part of a segment's footer: made when the segment is full, read at recovery.

#include <algorithm>

#include "log/group_state.h"

namespace multiraft::log {

FooterGroup GroupState::footer(uint64_t segment, const StateSegments& rewritten) const {
  const auto here = [&](uint64_t slot, uint64_t copied) {
    return slot != 0 && (slot == segment || slot == copied);
  };
  FooterGroup footer;
  footer.group = group_;
  footer.created = created_segment_ == segment;
  footer.replica = replica_;
  footer.last_index = last_index();
  if (here(states_in_.hard_state, rewritten.hard_state)) footer.hard_state = hard_state_;
  if (here(states_in_.mark, rewritten.mark)) footer.mark = *mark_;
  if (announced_ && here(states_in_.announced, rewritten.announced)) footer.announced = *announced_;
  footer.no_announced = announced_ == nullptr;
  const auto& runs = segments_.runs();
  for (size_t run = 0; run < runs.size(); ++run) {
    if (runs[run].value != segment) continue;
    const uint64_t run_end = run + 1 < runs.size() ? runs[run + 1].first : end();
    for (uint64_t i = runs[run].first; i < run_end; ++i) add_to_footer(footer, i, ref(i).offset);
  }
  return footer;
}

void GroupState::add_rewritten(FooterGroup& footer, uint64_t from, LogIndex low,
                               const std::vector<uint32_t>& offsets) const {
  const uint64_t limit = std::min(low.value + offsets.size(), end());
  for (uint64_t i = std::max(low.value, first_); i < limit && segments_.at(i) == from; ++i) {
    add_to_footer(footer, i, offsets[i - low.value]);
  }
}

void GroupState::add_to_footer(FooterGroup& footer, uint64_t index, uint32_t offset) const {
  const Term term(terms_.at(index));
  const bool follows =
      !footer.extents.empty() && footer.extents.back().term == term &&
      footer.extents.back().first + footer.extents.back().items.size() == LogIndex(index);
  if (!follows) footer.extents.push_back({LogIndex(index), term, {}});
  footer.extents.back().items.push_back({offset, ref(index).size_and_type});
}

bool GroupState::recover_footer(const FooterGroup& footer, uint64_t segment, uint64_t holes_max) {
  if (footer.replica != replica_) return false;
  if (footer.created) created_segment_ = segment;
  if (footer.hard_state) set_hard_state(*footer.hard_state, segment);
  truncate_from(footer.last_index + 1);
  if (footer.mark) {
    // Whatever was behind the mark and does not count any more, because a snapshot replaced the
    // log, is overwritten below: all that the log holds now was written after that, in this
    // segment.
    drop_through(footer.mark->index);
    set_mark(std::make_shared<const raft::Snapshot>(*footer.mark), segment);
  }
  if (footer.no_announced) set_announced(nullptr, 0);
  if (footer.announced) {
    set_announced(std::make_shared<const raft::Snapshot>(*footer.announced), segment);
  }
  for (const FooterExtent& extent : footer.extents) {
    EntryMeta meta{extent.first, extent.term, raft::EntryType::kNormal, 0};
    for (const FooterExtent::Item& item : extent.items) {
      meta.type = static_cast<raft::EntryType>(item.size_and_type >> 28);
      meta.data_bytes = item.size_and_type & kEntrySizeMask;
      if (!recover_entry(meta, {segment, item.offset}, holes_max)) return false;
      ++meta.index;
    }
  }
  return true;
}

}  // namespace multiraft::log
