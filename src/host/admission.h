#pragma once
// How much may wait in a worker, and in each of its groups: decided when a request comes in, so
// that nothing behind it has to refuse what was accepted.

#include <cstddef>
#include <memory>
#include <utility>

#include "base/limits.h"
#include "multiraft/status.h"
#include "raft/raft.h"

namespace multiraft::host {

/// Of one worker; see base/limits.h.
struct AdmissionLimits {
  size_t writes = limits::kPendingWritesPerWorkerMax;
  size_t writes_of_group = limits::kPendingWritesPerGroupMax;
  size_t write_bytes = limits::kPendingWriteBytesPerWorkerMax;
  size_t write_bytes_of_group = limits::kPendingWriteBytesPerGroupMax;
  size_t reads = limits::kWaitingReadsPerWorkerMax;
  size_t reads_of_group = limits::kWaitingReadsPerGroupMax;
  size_t uncommitted_bytes = limits::kUncommittedBytesPerWorkerMax;
  size_t uncommitted_bytes_of_group = limits::kUncommittedBytesMax;
  size_t inflight_bytes = limits::kInflightBytesPerWorkerMax;
};

/// What waits now.
struct Load {
  size_t writes = 0;
  size_t write_bytes = 0;
  size_t reads = 0;
  size_t uncommitted_bytes = 0;
};

/// Counts the requests of one worker. On its thread only.
class Admission {
 public:
  /// The part of one group.
  class Account {
   public:
    explicit Account(std::shared_ptr<Load> all) : all_(std::move(all)) {}
    ~Account() { all_->uncommitted_bytes -= own_.uncommitted_bytes; }
    Account(const Account&) = delete;
    Account& operator=(const Account&) = delete;
    const Load& load() const { return own_; }

   private:
    friend class Admission;
    std::shared_ptr<Load> all_;
    Load own_;
  };

  /// A request that was admitted; it counts until this goes, wherever it has been moved to.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&& other) noexcept = default;
    Ticket& operator=(Ticket&& other) noexcept;
    ~Ticket() { release(); }

   private:
    friend class Admission;
    Ticket(std::shared_ptr<Account> account, Load part);
    void release();

    std::shared_ptr<Account> account_;
    Load part_;
  };

  explicit Admission(const AdmissionLimits& limits = {})
      : limits_(limits),
        all_(std::make_shared<Load>()),
        window_{.bytes_max = limits.inflight_bytes} {}

  std::shared_ptr<Account> open_account() const;
  /// kOverloaded: the message says what is full. A write of any size is admitted where none waits.
  Result<Ticket> admit_write(const std::shared_ptr<Account>& account, size_t bytes) const;
  Result<Ticket> admit_read(const std::shared_ptr<Account>& account) const;
  /// A group leads and has so many bytes of proposals that are not committed.
  void note_uncommitted(Account& account, size_t bytes) const;
  /// How many bytes of writes that group may propose now. One write, of any size, may always enter
  /// a log without uncommitted ones.
  size_t proposal_room(const Account& account) const;
  /// What all groups' appends to members share.
  raft::SharedWindow& window() { return window_; }
  const Load& load() const { return *all_; }

 private:
  const AdmissionLimits limits_;
  std::shared_ptr<Load> all_;
  raft::SharedWindow window_;
};

}  // namespace multiraft::host
