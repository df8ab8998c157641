#pragma once
// Direct writes on a simulated disk. Submissions under way are finished one by one, and the writes
// of each done and synced one by one, both in an order drawn from the seed: a later one may be
// durable, and a later submission known to be, before an earlier one has begun.

#include <cstdint>
#include <memory>
#include <vector>

#include "base/prng.h"
#include "env/direct_writer.h"
#include "env/executor.h"

namespace multiraft::env {

/// Writes and syncs through the File interface, so that faults and crashes of the disk apply.
class SimDirectWriter final : public DirectWriter {
 public:
  SimDirectWriter(Executor& owner, uint64_t seed);
  ~SimDirectWriter() override;

  void submit(std::span<const Write> writes, Callback<void(Status)> done) override;
  void drain() override;

 private:
  struct Submission {
    std::vector<Write> writes;
    Callback<void(Status)> done;
  };

  /// Any one of those under way.
  void finish_one();

  Executor& owner_;
  Prng random_;
  std::vector<Submission> under_way_;
  /// Tasks that come late look whether the writer is still there.
  const std::shared_ptr<SimDirectWriter*> self_;
};

}  // namespace multiraft::env
