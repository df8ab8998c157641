#include "node.h"

#include <algorithm>

#include "base/assert.h"
#include "base/coverage.h"

namespace multiraft::sim {
namespace {

/// One question in so many is for entries that are not in memory.
constexpr uint64_t kAsksPerColdRead = 5;

}  // namespace

Result<std::vector<raft::Entry>> Disk::entries(LogIndex low, LogIndex high, size_t bytes_max) {
  if (low <= mark.index) return Status(StatusCode::kNotFound, "compacted");
  MR_ASSERT_MSG(high <= last_index() + 1, "beyond the log");
  if (++asked % kAsksPerColdRead == 0) {
    MR_COVERAGE("entries that are not in memory");
    being_read = true;
    return Status(StatusCode::kUnavailable, "being read");
  }
  std::vector<raft::Entry> out;
  size_t bytes = 0;
  for (LogIndex i = low; i < high; ++i) {
    const raft::Entry& entry = log[i - mark.index - 1];
    bytes += raft::entry_bytes(entry);
    if (!out.empty() && bytes > bytes_max) break;
    out.push_back(entry);
  }
  return out;
}

bool Disk::has_conf_change(LogIndex low, LogIndex high) const {
  return std::any_of(log.begin() + static_cast<ptrdiff_t>(low - mark.index - 1),
                     log.begin() + static_cast<ptrdiff_t>(high - mark.index - 1),
                     [](const raft::Entry& e) { return e.type != raft::EntryType::kNormal; });
}

Result<Term> Disk::term(LogIndex index) const {
  if (index < mark.index) return Status(StatusCode::kNotFound, "compacted");
  if (index == mark.index) return mark.term;
  if (index > last_index()) return Status(StatusCode::kUnavailable, "not there");
  return log[index - mark.index - 1].term;
}

Result<std::shared_ptr<const raft::Snapshot>> Disk::snapshot() {
  if (!offer) return Status(StatusCode::kUnavailable, "none right now");
  return offer;
}

void Disk::write(const raft::StorageAppend& append) {
  if (append.hard_state) hard_state = *append.hard_state;
  if (append.snapshot) {
    mark = *append.snapshot;
    log.clear();
    start_conf = mark.conf_state;
  }
  if (append.entries.empty()) return;
  const LogIndex first = append.entries.front().index;
  MR_ASSERT_MSG(first > mark.index && first <= last_index() + 1, "a gap in the log");
  log.resize(first - mark.index - 1);
  log.insert(log.end(), append.entries.begin(), append.entries.end());
}

void Disk::compact(const raft::Snapshot& to) {
  MR_ASSERT(to.index > mark.index && to.index <= last_index());
  log.erase(log.begin(), log.begin() + static_cast<ptrdiff_t>(to.index - mark.index));
  mark = to;
}

uint64_t next_hash(uint64_t hash, const raft::Entry& entry) {
  auto mix = [&](uint64_t v) { hash = (hash ^ v) * 0x100000001b3ULL + (hash >> 29); };
  mix(entry.index.value);
  mix(entry.term.value);
  mix(static_cast<uint64_t>(entry.type));
  for (char c : entry.data.view()) mix(static_cast<unsigned char>(c));
  return hash;
}

Node::Node(ReplicaId id, const Settings& settings, const Truth& truth, uint64_t seed,
           const State& start_state)
    : applied(start_state), flushed(start_state), id_(id), settings_(settings), truth_(truth) {
  history.emplace(start_state.index, start_state);
  disk.mark = {start_state.index, start_state.term, start_state.conf};
  disk.start_conf = start_state.conf;
  start(seed);
}

void Node::start(uint64_t seed) {
  raft::Config config;
  config.id = id_;
  config.election_ticks = kElectionTicks;
  config.heartbeat_ticks = 1;
  config.pre_vote = settings_.pre_vote;
  config.commit_in_rejections = settings_.commit_in_rejections;
  config.check_quorum = settings_.check_quorum;
  if (settings_.leases) {
    config.promise_ms = static_cast<uint32_t>(raft::promise_ns(kElectionTicks, kTickNs) / 1'000);
    config.lease = this;
    drop_lease();
    next_tick_ns = now_ns + kTickNs;
  }
  config.applied = applied.index;
  config.message_bytes_max = settings_.message_bytes_max;
  config.committed_bytes_per_ready_max = settings_.committed_bytes_per_ready_max;
  config.inflight_messages_max = settings_.inflight_messages_max;
  config.inflight_bytes_max = settings_.inflight_bytes_max;
  config.uncommitted_bytes_max = settings_.uncommitted_bytes_max;
  config.step_down_on_removal = settings_.step_down_on_removal;
  config.disable_proposal_forwarding = true;
  config.random_seed = seed;
  // As the host does: what is applied was committed.
  disk.hard_state.commit = std::max(disk.hard_state.commit, applied.index);
  disk.start_conf = applied.conf;
  core_ = std::make_unique<raft::Raft>(config, disk);
}

void Node::installed(const raft::Snapshot& snapshot) {
  applied = {snapshot.index, snapshot.term, truth_.hash[snapshot.index.value], snapshot.conf_state};
  flushed = applied;
  disk.offer.reset();  // It is never older than the log's mark.
  history.clear();
  history.emplace(applied.index, applied);
}

void Node::crash(Prng& prng) {
  core_.reset();
  bool snapshot_kept = false;
  for (uint64_t kept = prng.below(appends.size() + 1); kept > 0; --kept) {
    const raft::StorageAppend& append = appends.front();
    disk.write(append);
    if (append.snapshot) {
      installed(*append.snapshot);
      snapshot_kept = true;
    }
    appends.pop_front();
  }
  appends.clear();
  applies.clear();
  reads.clear();
  disk.offer.reset();
  if (snapshot_kept) return;
  auto state = history.find(flushed.index);
  MR_ASSERT(state != history.end());
  std::advance(state, static_cast<ptrdiff_t>(prng.below(history.size())));
  applied = state->second;
  history.erase(std::next(state), history.end());
}

}  // namespace multiraft::sim
