#include "service/read_slices.h"

#include <utility>

#include "base/coverage.h"

namespace multiraft::service {

void ReadSlices::run(Callback<size_t()> read) {
  if (waiting_.empty() && bytes_ < kBytesPerRound) return used(read());
  MR_COVERAGE("read of a large value waits for the next round");
  waiting_.push_back(std::move(read));
  schedule();
}

void ReadSlices::used(size_t bytes) {
  bytes_ += bytes;
  // Small reads do not need a task to count them: they are limited by the requests of a round.
  if (bytes_ >= kBytesPerRound) schedule();
}

void ReadSlices::schedule() {
  if (std::exchange(scheduled_, true)) return;
  executor_.post([this] { next_round(); });
}

void ReadSlices::next_round() {
  scheduled_ = false;
  bytes_ = 0;
  while (!waiting_.empty() && bytes_ < kBytesPerRound) {
    Callback<size_t()> read = std::move(waiting_.front());
    waiting_.pop_front();
    used(read());
  }
  if (!waiting_.empty()) schedule();
}

}  // namespace multiraft::service
