#include "checker.h"

#include <algorithm>

#include "raft/core.h"
#include "raft/invariants.h"
#include "raft/quorum.h"

namespace multiraft::sim {

using raft::MessageType;
using raft::Role;

void Checker::fail(const Node& node, const std::string& what) {
  if (violation_.empty()) violation_ = "replica " + to_string(node.id()) + ": " + what;
}

const Node* Checker::find(ReplicaId id) const {
  for (const auto& node : nodes_) {
    if (node->id() == id) return node.get();
  }
  return nullptr;
}

void Checker::start(const State& state) {
  truth_.hash.assign(state.index.value + 1, state.hash);
  truth_.term.assign(state.index.value + 1, state.term);
  max_commit_ = state.index;
  committed_ = truth_.term;
}

void Checker::after_step(Node& node) {
  if (!node.alive()) return;
  const raft::Raft& core = node.core();
  const Term term = core.term();
  const LogIndex commit = core.commit_index();
  // Invariant 2. The durable part is compared at restart, when `seen` holds what was reported.
  if (term < node.seen.term) fail(node, "term went back (invariant 2)");
  if (commit < node.seen.commit) fail(node, "commit index went back (invariant 2)");
  const ReplicaId vote = core.core().vote();
  if (term == node.seen.term && node.seen.vote != ReplicaId{} && vote != node.seen.vote) {
    fail(node, "changed its vote in term " + to_string(term) + " (invariant 2)");
  }
  // Invariant 10.
  if (core.applied_index() > commit) fail(node, "applied beyond commit (invariant 10)");
  if (commit > core.last_index()) fail(node, "commit beyond the log (invariant 10)");
  // Invariants 10, 11 and 14 inside one replica, and those of its own structures.
  if (const std::string wrong = raft::check_invariants(core); !wrong.empty()) fail(node, wrong);
  if (core.role() == Role::kLeader) check_leader(node);
  if (commit > node.seen.commit) check_commit(node);
  node.seen = {term, vote, commit};
  max_commit_ = std::max(max_commit_, commit);
}

void Checker::check_leader(Node& node) {
  const raft::Raft& core = node.core();
  const raft::LogView& log = core.core().log();
  auto [leader, fresh] = leader_of_term_.try_emplace(core.term().value, node.id());
  if (leader->second != node.id()) {
    fail(node, "two leaders in term " + to_string(core.term()) + " (invariant 1)");
  }
  if (fresh) {
    // Invariant 4: what was committed in earlier terms is in the log of each later leader; its own
    // no-op is last. By log matching the newest such entry stands for all before it. (A leader
    // whose own vote took long to become durable may be late: others have committed in later terms
    // by then, and it owes them nothing.)
    LogIndex index = max_commit_;
    while (index > LogIndex{} && committed_[index.value] >= core.term()) index = index - 1;
    const Term term = committed_[index.value];
    if (core.last_index() < index ||
        (term != Term{} && index >= log.first_index() && !log.matches({term, index}))) {
      fail(node, "elected without committed entries (invariant 4)");
    }
  }
  for (const raft::Progress& member : core.core().leader_role()->progress) {
    const Node* other = find(member.id);
    if (!other || member.match == LogIndex{}) continue;
    // Invariant 11, for the newest leader: what it counts is on the member's disk, and equal.
    if (core.term() < other->seen.term || member.match <= other->disk.mark.index) continue;
    const Result<Term> durable = other->disk.term(member.match);
    if (!durable || (member.match >= log.first_index() && !log.matches({*durable, member.match}))) {
      fail(node, "match of " + to_string(member.id) + " is not in its durable log (invariant 11)");
    }
  }
}

void Checker::check_commit(Node& node) {
  const raft::Raft& core = node.core();
  const raft::LogView& log = core.core().log();
  const LogIndex commit = core.commit_index();
  // Invariant 5, before anything is applied: one committed entry an index.
  for (LogIndex index(committed_.size()); index <= commit; ++index) {
    const Result<Term> known = log.term(index);
    committed_.push_back(known ? *known : Term{});
  }
  const Term expected = committed_[commit.value];
  const Result<Term> held = log.term(commit);
  if (held && expected != Term{} && *held != expected) {
    fail(node, "committed another entry at " + to_string(commit) + " (invariant 5)");
  }
  if (core.role() != Role::kLeader) return;
  // Invariant 7: only an entry of its own term moves a leader's commit index. All entries of the
  // term carry it, so that the entry at the commit index is one of them.
  auto at = entries_.find({commit.value, core.term().value});
  if (at == entries_.end()) {
    fail(node, "committed an entry of an older term by counting (invariant 7)");
    return;
  }
  if (!durable_on_quorum(core.conf_state(), commit, core.term())) {
    fail(node, "commit index " + to_string(commit) + " is not durable on a quorum (invariant 6)");
  }
}

bool Checker::durable_on_quorum(const raft::ConfState& conf, LogIndex index, Term term) const {
  return durable_on_majority(conf.voters, index, term) &&
         (conf.voters_outgoing.empty() || durable_on_majority(conf.voters_outgoing, index, term));
}

bool Checker::durable_on_majority(const std::vector<ReplicaId>& voters, LogIndex index,
                                  Term term) const {
  size_t durable = 0;
  for (ReplicaId id : voters) {
    const Node* node = find(id);
    if (!node) continue;
    auto held = node->disk.term(index);
    // Compacted or behind a snapshot: it was committed there before.
    if (index < node->disk.mark.index || (held && *held == term)) ++durable;
  }
  return durable >= voters.size() / 2 + 1;
}

void Checker::record_entry(const Node& node, const raft::Entry& entry, Term previous) {
  const EntryFacts facts{next_hash(0, entry), previous, entry.type != raft::EntryType::kNormal};
  auto [known, fresh] = entries_.try_emplace({entry.index.value, entry.term.value}, facts);
  // Invariant 3: same index and term, same entry and same entry before it.
  if (!fresh && (known->second.hash != facts.hash || known->second.previous != previous)) {
    fail(node, "two entries at index " + to_string(entry.index) + " of term " +
                   to_string(entry.term) + " (invariant 3)");
  }
}

void Checker::on_ready(Node& node, const raft::Ready& ready) {
  for (const raft::Message& message : ready.messages) {
    // Invariant 8: these assert durability and belong into StorageAppend::responses.
    const bool asserts =
        (message.type == MessageType::kAppResp || message.type == MessageType::kVoteResp) &&
        !message.reject;
    if (asserts && !(message.type == MessageType::kAppResp && message.index == LogIndex{})) {
      fail(node, std::string(raft::message_type_name(message.type)) +
                     " leaves before it is durable (invariant 8)");
    }
  }
  check_limits(node, ready);
  if (!ready.append || ready.append->entries.empty()) return;
  const auto& entries = ready.append->entries;
  Term previous;
  const LogIndex before = entries.front().index - 1;
  // What precedes the first entry is in an append under way, in the snapshot, or on disk.
  if (ready.append->snapshot && ready.append->snapshot->index == before) {
    previous = ready.append->snapshot->term;
  } else {
    bool found = false;
    for (auto append = node.appends.rbegin(); append != node.appends.rend() && !found; ++append) {
      for (const raft::Entry& entry : append->entries) {
        if (entry.index == before) {
          previous = entry.term;
          found = true;
        }
      }
      if (!found && append->snapshot && append->snapshot->index == before) {
        previous = append->snapshot->term;
        found = true;
      }
    }
    if (!found) {
      auto term = node.disk.term(before);
      if (!term) return;
      previous = *term;
    }
  }
  for (const raft::Entry& entry : entries) {
    record_entry(node, entry, previous);
    if (entry.type != raft::EntryType::kNormal) check_sole_change(node, entry);
    previous = entry.term;
  }
}

void Checker::check_sole_change(const Node& node, const raft::Entry& change) {
  const raft::Raft& core = node.core();
  if (core.role() != Role::kLeader || change.term != core.term()) return;
  // Invariant 12: a leader appends a change only once all before it are applied (thesis 4.1).
  for (LogIndex index = core.applied_index() + 1; index < change.index; ++index) {
    const Result<Term> term = core.core().log().term(index);
    if (!term) continue;
    auto known = entries_.find({index.value, term->value});
    if (known != entries_.end() && known->second.change) {
      fail(node, "a change of the configuration at " + to_string(change.index) +
                     " before that at " + to_string(index) + " is applied (invariant 12)");
      return;
    }
  }
}

void Checker::on_configuration(const Node& node, const raft::ConfState& before,
                               const raft::ConfState& after) {
  auto [known, fresh] = configurations_.try_emplace(node.applied.index, after);
  if (!fresh) {
    if (!(known->second == after)) {
      fail(node, "another configuration at " + to_string(node.applied.index) +
                     " than somebody before (invariant 12)");
    }
    return;
  }
  // Invariant 12: no quorum of one configuration without a member of each quorum of the next. A
  // larger set of a quorum is one, too: it is enough to look at every set and what it leaves.
  const auto quorum = [](const raft::ConfState& conf, uint64_t set) {
    return raft::quorum_vote(conf, [&](ReplicaId id) {
             return (set >> id.value & 1) != 0 ? 1 : -1;
           }) == raft::VoteResult::kWon;
  };
  const uint64_t sets = uint64_t{2} << nodes_.size();
  for (uint64_t set = 0; set < sets; ++set) {
    if (!quorum(before, set) || !quorum(after, ~set)) continue;
    fail(node, "consecutive configurations at " + to_string(node.applied.index) +
                   " with disjoint quorums (invariant 12)");
    return;
  }
}

void Checker::check_limits(Node& node, const raft::Ready& ready) {
  const auto size = [](const std::vector<raft::Entry>& entries) {
    size_t bytes = 0;
    for (const raft::Entry& entry : entries) bytes += raft::entry_bytes(entry);
    return bytes;
  };
  for (const raft::Message& message : ready.messages) {
    if (message.entries.size() > 1 && size(message.entries) > settings_.message_bytes_max) {
      fail(node, "a message above the limit of bytes (invariant 14)");
    }
  }
  if (!ready.apply) return;
  size_t applying = size(ready.apply->entries);
  size_t batches = ready.apply->entries.size();
  for (const raft::StorageApply& apply : node.applies) {
    applying += size(apply.entries);
    batches += apply.entries.size();
  }
  if (batches > 1 && applying > settings_.committed_bytes_per_ready_max) {
    fail(node, "more is being applied than the limit allows (invariant 14)");
  }
}

void Checker::on_durable(Node& node, const raft::StorageAppend& append) {
  const raft::HardState& now = node.disk.hard_state;
  if (append.hard_state) {
    // Invariant 2: what a crash leaves is never older than what an earlier crash would have left.
    const raft::HardState& before = node.durable;
    const bool revoted =
        now.term == before.term && before.vote != ReplicaId{} && now.vote != before.vote;
    if (now.term < before.term || revoted || now.commit < before.commit) {
      fail(node, "the durable term, vote or commit index went back (invariant 2)");
    }
    node.durable = now;
  }
  // Invariant 15: a snapshot and a hard state that knows it are one write.
  if (append.snapshot && now.commit < append.snapshot->index) {
    fail(node, "a snapshot is durable, its commit index is not (invariant 15)");
  }
}

void Checker::at_end(const Node& node) {
  if (!node.reads.empty()) {
    fail(node,
         "read " + std::to_string(node.reads.begin()->first) + " was never answered (liveness)");
  }
}

void Checker::on_sent(const Node& node, const raft::Message& message) {
  if (message.type == MessageType::kVoteResp && !message.reject) {
    // Invariant 9, also over crashes.
    auto [vote, fresh] = votes_.try_emplace({node.id(), message.term}, message.to);
    if (!fresh && vote->second != message.to) {
      fail(node, "voted twice in term " + to_string(message.term) + " (invariant 9)");
    }
    if (node.disk.hard_state.term < message.term ||
        (node.disk.hard_state.term == message.term && node.disk.hard_state.vote != message.to)) {
      fail(node, "a vote left before it was durable (invariant 8)");
    }
  }
  if (message.type == MessageType::kAppResp && !message.reject) {
    // An answer of an earlier term may speak of entries that a leader of this term has replaced
    // before they were written. Its leader cannot commit by it: what elected the newer one had
    // not acknowledged them.
    const bool replaced = message.term < node.disk.hard_state.term;
    if (message.index > node.disk.last_index() && !replaced) {
      fail(node, "acknowledged entries that are not durable (invariant 8)");
    }
  }
}

void Checker::on_applied(Node& node, const raft::Entry& entry, uint64_t hash) {
  const uint64_t index = entry.index.value;
  if (entry.index != node.applied.index + 1) fail(node, "applied with a gap (invariant 10)");
  if (index < truth_.hash.size()) {
    // Invariant 5.
    if (truth_.hash[index] != hash) {
      fail(node, "applied another entry at index " + to_string(entry.index) +
                     " than somebody before (invariant 5)");
    }
    return;
  }
  truth_.hash.push_back(hash);
  truth_.term.push_back(entry.term);
}

void Checker::on_snapshot_applied(const Node& node, const raft::Snapshot& snapshot) {
  const uint64_t index = snapshot.index.value;
  if (index >= truth_.term.size() || truth_.term[index] != snapshot.term) {
    fail(node, "installed a snapshot of entries that nobody committed (invariant 5)");
  }
}

void Checker::on_read(Node& node, const raft::ReadState& read) {
  auto question = node.reads.find(read.id.value);
  if (question == node.reads.end()) {
    fail(node, "an answer to a read that was not asked (invariant 13)");
    return;
  }
  if (!read.failed && read.index < question->second) {
    fail(node, "read index " + to_string(read.index) + " is behind commit index " +
                   to_string(question->second) + " at the time of the question (invariant 13)");
  }
  node.reads.erase(question);
}

}  // namespace multiraft::sim
