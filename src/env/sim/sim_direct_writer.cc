#include "env/sim/sim_direct_writer.h"

#include <string_view>
#include <utility>

namespace multiraft::env {
namespace {

/// Those of one submission in any order, as the kernel does them: a crash between two of them may
/// leave the later one and not the earlier.
Status write_durably(std::vector<DirectWriter::Write> writes, Prng& random) {
  for (; !writes.empty(); writes.pop_back()) {
    std::swap(writes[random.below(writes.size())], writes.back());
    const DirectWriter::Write& write = writes.back();
    const std::string_view parts[] = {{write.bytes.data(), write.bytes.size()}};
    MR_RETURN_IF_ERROR(write.file->write_at(write.offset, parts));
    MR_RETURN_IF_ERROR(write.file->sync_data());
  }
  return Status::ok();
}

}  // namespace

SimDirectWriter::SimDirectWriter(Executor& owner, uint64_t seed)
    : owner_(owner), random_(seed), self_(std::make_shared<SimDirectWriter*>(this)) {}

SimDirectWriter::~SimDirectWriter() {
  drain();
  *self_ = nullptr;
}

void SimDirectWriter::submit(std::span<const Write> writes, Callback<void(Status)> done) {
  under_way_.push_back({{writes.begin(), writes.end()}, std::move(done)});
  owner_.post([self = self_] {
    if (*self) (*self)->finish_one();
  });
}

void SimDirectWriter::finish_one() {
  if (under_way_.empty()) return;
  const auto chosen = under_way_.begin() + static_cast<ptrdiff_t>(random_.below(under_way_.size()));
  Submission submission = std::move(*chosen);
  under_way_.erase(chosen);
  submission.done(write_durably(std::move(submission.writes), random_));
}

void SimDirectWriter::drain() {
  while (!under_way_.empty()) finish_one();
}

}  // namespace multiraft::env
