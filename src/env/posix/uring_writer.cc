#include "env/posix/uring_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "env/posix/errno_text.h"
#include "env/posix/unique_fd.h"

namespace multiraft::env {
namespace {

/// Writes under way at once. More wait their turn here.
constexpr unsigned kEntries = 64;
constexpr size_t kProbeBytes = 4096;

Status write_error(const DirectWriter::Write& write, size_t done, int error) {
  const StatusCode code =
      error == ENOSPC || error == EDQUOT ? StatusCode::kNoSpace : StatusCode::kIoError;
  return {code, "write " + write.file->path() + " at offset " +
                    std::to_string(write.offset + done) + ": " + errno_text(error)};
}

Status unavailable(const std::string& what, int error) {
  return {StatusCode::kUnavailable, what + ": " + errno_text(error)};
}

class UringWriter final : public DirectWriter, public ExecutorResident {
 public:
  explicit UringWriter(std::shared_ptr<ExecutorCore> core)
      : core_(std::move(core)), signal_(std::make_unique<ReactorSignal>(core_->reactor())) {}
  ~UringWriter() override;

  Status open();
  void submit(std::span<const Write> writes, Callback<void(Status)> done) override;
  void drain() override;
  void executor_ended() override;

 private:
  /// What one submit() brought.
  struct Submission {
    size_t pending = 0;
    Status status;
    Callback<void(Status)> done;
  };
  struct Piece {
    Write write;
    size_t done = 0;
    std::shared_ptr<Submission> submission;
  };

  void start(std::unique_ptr<Piece> piece);
  void start_waiting();
  void tell_kernel();
  void watch();
  void reap();
  void on_result(std::unique_ptr<Piece> piece, int result);
  void wait_for_all();
  bool run_finished();

  const std::shared_ptr<ExecutorCore> core_;
  std::unique_ptr<ReactorSignal> signal_;
  io_uring ring_{};
  bool ready_ = false;
  bool attached_ = false;
  bool watching_ = false;
  unsigned under_way_ = 0;
  std::deque<std::unique_ptr<Piece>> waiting_;
  std::deque<std::shared_ptr<Submission>> finished_;  ///< Whose callbacks are due.
  /// Handlers of the poller that come late look whether the writer is still there.
  const std::shared_ptr<UringWriter*> self_ = std::make_shared<UringWriter*>(this);
};

Status UringWriter::open() {
  // Completions need not interrupt the thread: it looks at them when it polls.
  int error = io_uring_queue_init(kEntries, &ring_, IORING_SETUP_COOP_TASKRUN);
  if (error == -EINVAL) error = io_uring_queue_init(kEntries, &ring_, 0);
  if (error < 0) return unavailable("io_uring", -error);
  ready_ = true;
  UniqueFd watched(::fcntl(ring_.ring_fd, F_DUPFD_CLOEXEC, 0));
  if (!watched) return unavailable("io_uring: dup", errno);
  if (const int refused = signal_->assign(std::move(watched)); refused != 0) {
    return unavailable("io_uring: poll", refused);
  }
  core_->attach(*this);
  attached_ = true;
  return Status::ok();
}

UringWriter::~UringWriter() {
  drain();
  if (attached_) core_->detach(*this);
  *self_ = nullptr;
  signal_.reset();
  if (ready_) io_uring_queue_exit(&ring_);
}

void UringWriter::executor_ended() {
  attached_ = false;
  // The kernel ties what is under way to the thread that asked for it. Callbacks wait for drain().
  wait_for_all();
  signal_->close();
}

void UringWriter::submit(std::span<const Write> writes, Callback<void(Status)> done) {
  MR_ASSERT(!writes.empty());
  auto submission = std::make_shared<Submission>();
  submission->pending = writes.size();
  submission->done = std::move(done);
  for (const Write& write : writes) {
    waiting_.push_back(std::make_unique<Piece>(Piece{write, 0, submission}));
  }
  start_waiting();
  watch();
}

void UringWriter::start_waiting() {
  bool any = false;
  for (; !waiting_.empty() && under_way_ < kEntries; any = true) {
    start(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  if (any) tell_kernel();
}

void UringWriter::start(std::unique_ptr<Piece> piece) {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  MR_ASSERT(entry != nullptr);
  const std::span<char> rest = piece->write.bytes.subspan(piece->done);
  io_uring_prep_write(entry, piece->write.file->descriptor(), rest.data(),
                      static_cast<unsigned>(rest.size()), piece->write.offset + piece->done);
  entry->rw_flags = RWF_DSYNC;
  io_uring_sqe_set_data(entry, piece.release());
  ++under_way_;
}

void UringWriter::tell_kernel() {
  while (io_uring_sq_ready(&ring_) > 0) {
    const int submitted = io_uring_submit(&ring_);
    if (submitted >= 0 || submitted == -EINTR || submitted == -EAGAIN) continue;
    // The buffers belong to the kernel until it has answered, which it does not do any more.
    MR_ASSERT_MSG(false, "io_uring_enter failed with writes under way");
  }
}

void UringWriter::watch() {
  if (watching_ || !attached_ || under_way_ == 0) return;
  watching_ = true;
  signal_->async_wait([self = self_](int) {
    if (!*self) return;
    (*self)->watching_ = false;
    (*self)->reap();
    if ((*self)->run_finished()) (*self)->watch();
  });
}

void UringWriter::reap() {
  io_uring_cqe* answer = nullptr;
  while (io_uring_peek_cqe(&ring_, &answer) == 0) {
    std::unique_ptr<Piece> piece(static_cast<Piece*>(io_uring_cqe_get_data(answer)));
    const int result = answer->res;
    io_uring_cqe_seen(&ring_, answer);
    --under_way_;
    on_result(std::move(piece), result);
  }
  start_waiting();
}

void UringWriter::on_result(std::unique_ptr<Piece> piece, int result) {
  if (result > 0) piece->done += static_cast<size_t>(result);
  const std::shared_ptr<Submission> submission = piece->submission;
  if (piece->done < piece->write.bytes.size()) {
    const bool again = result > 0 || result == -EINTR || result == -EAGAIN;
    if (again && submission->status) {
      waiting_.push_front(std::move(piece));
      return;
    }
    if (submission->status) {
      submission->status = write_error(piece->write, piece->done, result < 0 ? -result : EIO);
    }
  }
  if (--submission->pending == 0) finished_.push_back(submission);
}

/// False where a callback destroyed the writer.
bool UringWriter::run_finished() {
  const auto self = self_;
  while (!finished_.empty()) {
    const std::shared_ptr<Submission> submission = std::move(finished_.front());
    finished_.pop_front();
    submission->done(std::move(submission->status));
    if (!*self) return false;
  }
  return true;
}

void UringWriter::wait_for_all() {
  while (under_way_ > 0) {
    io_uring_cqe* answer = nullptr;
    const int error = io_uring_wait_cqe(&ring_, &answer);
    MR_ASSERT_MSG(error == 0 || error == -EINTR || error == -EAGAIN, "io_uring_enter failed");
    reap();
  }
}

void UringWriter::drain() {
  do {
    wait_for_all();
  } while (run_finished() && under_way_ > 0);
}

/// A kernel may have the calls and the file system refuse direct access, or the other way round:
/// only a write shows it.
Status probe(FileSystem& files, const std::string& path, DirectWriter& writer) {
  {
    auto file = files.open(path, OpenMode::kCreate);
    if (!file) return file.status();
    auto size = (*file)->size();
    if (!size) return size.status();
    if (*size < kProbeBytes) {
      MR_RETURN_IF_ERROR((*file)->zero(0, kProbeBytes));
      MR_RETURN_IF_ERROR((*file)->sync_data());
    }
  }
  auto file = files.open(path, OpenMode::kReadWrite, true);
  if (!file) return file.status();
  if ((*file)->descriptor() < 0) return {StatusCode::kUnavailable, "no file descriptors here"};
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  const std::unique_ptr<char, Free> block(
      static_cast<char*>(std::aligned_alloc(kProbeBytes, kProbeBytes)));
  std::fill_n(block.get(), kProbeBytes, '\0');
  const DirectWriter::Write write{file->get(), 0, {block.get(), kProbeBytes}};
  Status result;
  writer.submit({&write, 1}, [&](Status status) { result = std::move(status); });
  writer.drain();
  return result;
}

}  // namespace

Result<std::unique_ptr<DirectWriter>> make_uring_writer(const std::shared_ptr<ExecutorCore>& core,
                                                        FileSystem& files,
                                                        const std::string& directory) {
  MR_ASSERT(core->in_executor());
  auto writer = std::make_unique<UringWriter>(core);
  MR_RETURN_IF_ERROR(writer->open());
  // The file stays: a start on a full disk has to find that out as well, and writes over it.
  const Status probed = probe(files, directory + "/uring-probe", *writer);
  if (!probed) return Status(StatusCode::kUnavailable, "io_uring: " + probed.message());
  return std::unique_ptr<DirectWriter>(std::move(writer));
}

}  // namespace multiraft::env
