#pragma once
// The core's view of one replica's log: the shared log's entries, the state machine's position at
// start, and the snapshot that could be sent right now.

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "log/log.h"
#include "raft/storage.h"

namespace multiraft::host {

class ReplicaStorage final : public raft::Storage {
 public:
  using Offer = std::function<Result<std::shared_ptr<const raft::Snapshot>>()>;

  /// `offer` answers snapshot(): the position at which a consistent view can be taken now.
  ReplicaStorage(log::GroupLog& log, raft::InitialState initial, Offer offer)
      : log_(log), initial_(std::move(initial)), offer_(std::move(offer)) {}

  raft::InitialState initial_state() const override { return initial_; }
  Result<std::vector<raft::Entry>> entries(LogIndex low, LogIndex high, size_t bytes_max) override {
    return log_.entries(low, high, bytes_max);
  }
  bool has_conf_change(LogIndex low, LogIndex high) const override {
    return log_.has_conf_change(low, high);
  }
  Result<Term> term(LogIndex index) const override { return log_.term(index); }
  LogIndex first_index() const override { return log_.first_index(); }
  LogIndex last_index() const override { return log_.last_index(); }
  Result<std::shared_ptr<const raft::Snapshot>> snapshot() override { return offer_(); }

 private:
  log::GroupLog& log_;
  raft::InitialState initial_;
  Offer offer_;
};

}  // namespace multiraft::host
