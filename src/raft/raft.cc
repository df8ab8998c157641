#include "raft/raft.h"

#include <utility>

#include "base/assert.h"
#include "raft/core.h"

namespace multiraft::raft {
namespace {

const Config& checked(const Config& config, const Storage& storage) {
  const Status status = Raft::check_start(config, storage);
  MR_ASSERT_MSG(status.is_ok(), status.message().c_str());
  return config;
}

void append_ids(std::string& text, const std::vector<ReplicaId>& ids) {
  text += '(';
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) text += ' ';
    append_part(text, ids[i]);
  }
  text += ')';
}

}  // namespace

std::string describe(const ConfState& conf) {
  std::string text = "voters=";
  append_ids(text, conf.voters);
  if (is_joint(conf)) {
    text += "&&";
    append_ids(text, conf.voters_outgoing);
  }
  if (!conf.learners.empty()) {
    text += " learners=";
    append_ids(text, conf.learners);
  }
  if (!conf.learners_next.empty()) {
    text += " learners_next=";
    append_ids(text, conf.learners_next);
  }
  if (conf.auto_leave) text += " autoleave";
  return text;
}

Raft::Raft(const Config& config, Storage& storage)
    : core_(std::make_unique<Core>(checked(config, storage), storage)) {}
Raft::~Raft() = default;
Raft::Raft(Raft&&) noexcept = default;

Status Raft::step(Message message) { return core_->step(std::move(message)); }
void Raft::tick() { core_->tick(); }
void Raft::campaign() { core_->campaign(); }

Result<ProposalPosition> Raft::propose(std::vector<Payload> payloads) {
  MR_ASSERT_MSG(!payloads.empty(), "a proposal of nothing");
  std::vector<Entry> entries(payloads.size());
  for (size_t i = 0; i < payloads.size(); ++i) {
    entries[i].data = std::move(payloads[i].data);
    entries[i].checksum = payloads[i].checksum;
  }
  return core_->propose(std::move(entries));
}

Result<ProposalPosition> Raft::propose(std::vector<SharedBytes> payloads) {
  MR_ASSERT_MSG(!payloads.empty(), "a proposal of nothing");
  std::vector<Entry> entries;
  entries.reserve(payloads.size());
  for (SharedBytes& payload : payloads) {
    entries.push_back(core_->make_entry(EntryType::kNormal, std::move(payload)));
  }
  return core_->propose(std::move(entries));
}

size_t Raft::uncommitted_bytes() const {
  const LeaderRole* leader = core_->leader_role();
  return leader ? leader->uncommitted_bytes : 0;
}

Result<ProposalPosition> Raft::propose_conf_change(const ConfChange& change) {
  return core_->propose_conf_change(change);
}
ConfState Raft::apply_conf_change(const ConfChange& change) {
  return core_->apply_conf_change(change);
}
void Raft::read_index(ReadId id, ReadMode mode) { core_->read_index(id, mode); }
uint64_t Raft::heartbeat_round() const {
  const LeaderRole* leader = core_->leader_role();
  return leader ? leader->reads.last_round : 0;
}
void Raft::transfer_leadership(ReplicaId to) { core_->transfer_leadership(to); }
void Raft::forget_leader() { core_->forget_leader(); }
void Raft::step_down() { core_->step_down(); }
void Raft::set_electable(bool electable) { core_->set_electable(electable); }
void Raft::hold_applying(bool hold) { core_->hold_applying(hold); }
void Raft::retry_reads() { core_->retry_reads(); }
void Raft::report_unreachable(ReplicaId member) { core_->report_unreachable(member); }
void Raft::report_snapshot(ReplicaId member, bool ok) { core_->report_snapshot(member, ok); }

bool Raft::has_ready() const { return core_->has_ready(); }
Ready Raft::ready() { return core_->ready(); }
void Raft::advance() { core_->advance(); }

ReplicaId Raft::id() const { return core_->id(); }
Role Raft::role() const { return core_->role(); }
ReplicaId Raft::leader() const { return core_->leader(); }
Term Raft::term() const { return core_->term(); }
LogIndex Raft::commit_index() const { return core_->log().committed(); }
LogIndex Raft::applied_index() const { return core_->log().applied(); }
LogIndex Raft::last_index() const { return core_->log().last_index(); }
bool Raft::committed_in_term() const { return core_->committed_in_term(); }
bool Raft::lease_possible() const { return core_->lease_possible(); }
bool Raft::pending_conf_change() const { return core_->pending_conf_change(); }
const ConfState& Raft::conf_state() const { return core_->conf(); }
RaftStatus Raft::status() const { return core_->status(); }
void Raft::set_randomized_election_timeout(uint32_t ticks) {
  core_->set_randomized_election_timeout(ticks);
}

}  // namespace multiraft::raft
