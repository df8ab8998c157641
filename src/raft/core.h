#pragma once
// The state machine behind raft.h. One class in several sources, one concern each:
//   core.cc         start, terms, roles, time
//   election.cc     campaigns and votes (thesis 3.4, 3.6, 9.6), transfer of leadership (3.10)
//   replication.cc  the leader's side of the log (3.5, 3.6.2)
//   follower.cc     the follower's side: appends, heartbeats, snapshots
//   membership.cc   configuration changes (chapter 4)
//   read_index.cc   linearizable reads (6.4)
//   ready.cc        what leaves the core

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/prng.h"
#include "multiraft/status.h"
#include "raft/conf_algebra.h"
#include "raft/log_line.h"
#include "raft/log_view.h"
#include "raft/quorum.h"
#include "raft/raft.h"
#include "raft/roles.h"

namespace multiraft::raft {

class Core {
 public:
  Core(const Config& config, Storage& storage);

  // As in raft.h.
  Status step(Message message);
  void tick();
  void campaign();
  Result<ProposalPosition> propose(std::vector<Entry> entries);
  /// An entry without a place in the log yet, with the checksum of its payload.
  Entry make_entry(EntryType type, SharedBytes data) const;
  Result<ProposalPosition> propose_conf_change(const ConfChange& change);
  ConfState apply_conf_change(const ConfChange& change);
  void read_index(ReadId id, ReadMode mode);
  void transfer_leadership(ReplicaId to);
  void forget_leader();
  void step_down();
  void set_electable(bool electable) { electable_ = electable; }
  void hold_applying(bool hold) { log_.hold_applying(hold); }
  void retry_reads();
  void report_unreachable(ReplicaId member);
  void report_snapshot(ReplicaId member, bool ok);
  bool has_ready() const;
  Ready ready();
  void advance();

  ReplicaId id() const { return config_.id; }
  Role role() const;
  ReplicaId leader() const;
  Term term() const { return term_; }
  ReplicaId vote() const { return vote_; }
  HardState hard_state() const { return {term_, vote_, log_.committed()}; }
  SoftState soft_state() const { return {leader(), role()}; }
  const LogView& log() const { return log_; }
  const ConfState& conf() const { return conf_; }
  const Config& config() const { return config_; }
  bool committed_in_term() const;
  bool lease_possible() const;
  bool pending_conf_change() const;
  RaftStatus status() const;
  /// Null: not the leader.
  const LeaderRole* leader_role() const { return std::get_if<LeaderRole>(&role_); }
  const FollowerRole* follower_role() const { return std::get_if<FollowerRole>(&role_); }
  const std::vector<Message>& unsent() const { return messages_; }
  const std::vector<Message>& unsent_after_append() const { return after_append_; }

  uint32_t election_elapsed() const { return election_elapsed_; }
  uint32_t randomized_election_timeout() const { return randomized_election_timeout_; }
  void set_randomized_election_timeout(uint32_t ticks) { randomized_election_timeout_ = ticks; }
  /// Bytes of this object and of what it has allocated for itself (not payloads).
  size_t memory_bytes() const;

 private:
  enum class Campaign { kPreVote, kVote, kTransfer };

  // -- core.cc
  LeaderRole* leading() { return std::get_if<LeaderRole>(&role_); }
  FollowerRole* following() { return std::get_if<FollowerRole>(&role_); }
  Status check(const Message& message) const;
  /// After check(): also for messages of this replica to itself.
  Status step_checked(Message message);
  Status step_in_term(Message message);
  void step_in_higher_term(const Message& message);
  void step_in_lower_term(const Message& message);
  void handle_storage_append_resp(const Message& message);
  void handle_storage_apply_resp(const Message& message);
  void applied_snapshot(const Snapshot& snapshot);
  void applied_to(LogIndex index);
  void become_follower(Term term, ReplicaId leader);
  void become_pre_candidate();
  void become_candidate();
  void become_leader();
  void enter_term(Term term);
  void reset_timers();
  void tick_election();
  void tick_leader();
  void send(Message message);
  template <class... Parts>
  void log_info(const Parts&... parts) const {
    log_line(config_.logger, LogLevel::kInfo, parts...);
  }
  template <class... Parts>
  void log_routine(const Parts&... parts) const {
    log_line(config_.logger, LogLevel::kRoutine, parts...);
  }
  template <class... Parts>
  void log_debug(const Parts&... parts) const {
    log_line(config_.logger, LogLevel::kDebug, parts...);
  }
  template <class... Parts>
  void log_warn(const Parts&... parts) const {
    log_line(config_.logger, LogLevel::kWarn, parts...);
  }
  template <class... Parts>
  void log_error(const Parts&... parts) const {
    log_line(config_.logger, LogLevel::kError, parts...);
  }

  // -- election.cc
  void start_campaign(Campaign kind);
  bool promotable() const;
  bool has_unapplied_conf_change() const;
  void request_votes(Campaign kind);
  bool promise_runs() const;
  bool only_voter() const;
  bool keeps_its_leader() const;
  void handle_vote_request(const Message& message);
  void handle_vote_response(const Message& message);
  void reject_vote(Message answer);
  void learn_commit(const Message& rejection);
  void handle_timeout_now(const Message& message);
  void send_timeout_now(LeaderRole& leader);
  void abort_transfer(LeaderRole& leader);
  void check_quorum_active(LeaderRole& leader);

  // -- replication.cc
  Result<ProposalPosition> propose_at_leader(std::vector<Entry> entries, bool* replaced);
  Status handle_proposal(Message message);
  Result<ProposalPosition> append_own(LeaderRole& leader, std::vector<Entry> entries);
  void broadcast_appends(LeaderRole& leader);
  /// What is new, to everyone who can take it.
  void broadcast_pending(LeaderRole& leader);
  bool send_append(Progress& member, bool even_if_empty);
  bool send_snapshot(Progress& member);
  void broadcast_heartbeats(LeaderRole& leader);
  void handle_append_response(const Message& message);
  void handle_rejection(Progress& member, const Message& message);
  void handle_acceptance(LeaderRole& leader, Progress& member, LogIndex index);
  void handle_heartbeat_response(const Message& message);
  bool maybe_commit(LeaderRole& leader);

  // -- follower.cc
  Status handle_append(Message message);
  Status handle_heartbeat(const Message& message);
  Status handle_snapshot(Message message);
  bool restore(const std::shared_ptr<const Snapshot>& snapshot);
  void heard_from_leader(ReplicaId leader);

  // -- membership.cc
  /// Replaces changes that are not allowed now by empty entries.
  bool screen_conf_changes(const LeaderRole& leader, std::vector<Entry>& entries,
                           LogIndex* pending) const;
  bool conf_change_allowed(const LeaderRole& leader, LogIndex pending, const Entry& entry) const;
  void switch_to(ConfOutcome outcome);
  void maybe_leave_joint();

  // -- read_index.cc
  void leader_read(LeaderRole& leader, ReplicaId from, ReadId id, ReadMode mode);
  void answer_read(ReplicaId from, ReadId id, LogIndex index);
  void refuse_read(ReplicaId from, ReadId id);
  void confirm_read(LeaderRole& leader, PendingRead read);
  void release_held_reads(LeaderRole& leader);
  void release_confirmed_reads(LeaderRole& leader);
  bool lease_holds(const LeaderRole& leader) const;
  void note_round_sent(LeaderRole& leader);
  void handle_read_request(const Message& message);
  void handle_read_response(const Message& message);
  void fail_reads();
  void expire_reads();

  // -- ready.cc
  bool needs_append_response() const;
  std::optional<StorageAppend> take_append();
  std::optional<StorageApply> take_apply();
  void keep_for_advance(const StorageAppend* append, const StorageApply* apply);
  Message append_response(const std::shared_ptr<const Snapshot>& snapshot) const;
  Message apply_response(const std::vector<Entry>& entries) const;

  Config config_;
  LogView log_;
  ConfState conf_;
  Term term_;
  ReplicaId vote_;
  RoleState role_;

  uint64_t ticks_ = 0;
  uint32_t election_elapsed_ = 0;
  uint32_t heartbeat_elapsed_ = 0;
  uint32_t randomized_election_timeout_ = 0;
  /// Before this tick it neither votes nor campaigns (Config::promise_ms). Of no role or term: what
  /// was promised stays promised, whatever this replica learns meanwhile.
  uint64_t promised_until_tick_ = 0;
  bool electable_ = true;  ///< See Raft::set_electable().
  Prng random_;

  std::vector<Message> messages_;
  /// May leave once what was appended before them is durable.
  std::vector<Message> after_append_;
  /// Synchronous mode: what advance() steps.
  std::vector<Message> on_advance_;
  std::vector<ReadState> read_states_;

  // As of the last Ready.
  SoftState reported_soft_state_;
  HardState reported_hard_state_;
};

}  // namespace multiraft::raft
