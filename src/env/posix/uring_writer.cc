#include "env/posix/uring_writer.h"

#include <errno.h>
#include <liburing.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace multiraft::env {
namespace {

/// Writes under way at once; a batch of a log is one write, and few of them wait together.
constexpr unsigned kEntries = 16;
constexpr size_t kProbeBytes = 4096;

std::string errno_words(int error) {
  return std::system_category().message(error) + " (errno " + std::to_string(error) + ")";
}

Status write_error(const UringWriter::Write& write, size_t done, int error) {
  const StatusCode code =
      error == ENOSPC || error == EDQUOT ? StatusCode::kNoSpace : StatusCode::kIoError;
  return {code, "write " + write.file->path() + " at offset " +
                    std::to_string(write.offset + done) + ": " + errno_words(error)};
}

Status unavailable(const std::string& what, int error) {
  return {StatusCode::kUnavailable, what + ": " + errno_words(error)};
}

}  // namespace

struct UringWriter::Ring {
  io_uring ring{};
  bool ready = false;
  ~Ring() {
    if (ready) io_uring_queue_exit(&ring);
  }
};

UringWriter::UringWriter(std::unique_ptr<Ring> ring) : ring_(std::move(ring)) {}
UringWriter::~UringWriter() = default;

Result<std::unique_ptr<UringWriter>> UringWriter::create(FileSystem& files,
                                                         const std::string& directory) {
  auto ring = std::make_unique<Ring>();
  const int error = io_uring_queue_init(kEntries, &ring->ring, 0);
  if (error < 0) return unavailable("io_uring", -error);
  ring->ready = true;
  std::unique_ptr<UringWriter> writer(new UringWriter(std::move(ring)));
  // A kernel may have the calls and the file system refuse direct access, or the other way round:
  // only a write tells.
  const std::string path = directory + "/uring-probe.new";
  const Status probed = probe(files, path, *writer);
  const Status removed = files.remove(path);
  if (!probed) return Status(StatusCode::kUnavailable, "io_uring: " + probed.message());
  if (!removed) return removed;
  return writer;
}

Status UringWriter::probe(FileSystem& files, const std::string& path, UringWriter& writer) {
  {
    auto file = files.open(path, OpenMode::kCreate);
    if (!file) return file.status();
    MR_RETURN_IF_ERROR((*file)->zero(0, kProbeBytes));
    MR_RETURN_IF_ERROR((*file)->sync_data());
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
  const Write write{file->get(), 0, {block.get(), kProbeBytes}};
  return writer.write({&write, 1});
}

Status UringWriter::write(std::span<const Write> writes) {
  while (!writes.empty()) {
    const size_t n = std::min<size_t>(writes.size(), kEntries);
    MR_RETURN_IF_ERROR(write_some(writes.first(n)));
    writes = writes.subspan(n);
  }
  return Status::ok();
}

Status UringWriter::write_some(std::span<const Write> writes) {
  io_uring& ring = ring_->ring;
  std::vector<size_t> done(writes.size(), 0);
  auto submit = [&](size_t i) {
    io_uring_sqe* entry = io_uring_get_sqe(&ring);
    MR_ASSERT(entry != nullptr);
    const Write& write = writes[i];
    io_uring_prep_write(entry, write.file->descriptor(), write.bytes.data() + done[i],
                        static_cast<unsigned>(write.bytes.size() - done[i]),
                        write.offset + done[i]);
    entry->rw_flags = RWF_DSYNC;
    entry->user_data = i;
  };
  for (size_t i = 0; i < writes.size(); ++i) submit(i);
  size_t pending = writes.size();
  Status status;
  while (pending > 0) {
    const int submitted = io_uring_submit_and_wait(&ring, 1);
    if (submitted < 0 && submitted != -EINTR) {
      // The buffers belong to the kernel until it has answered, which it does not do any more.
      MR_ASSERT_MSG(false, "io_uring_enter failed with writes under way");
    }
    io_uring_cqe* answer = nullptr;
    while (io_uring_peek_cqe(&ring, &answer) == 0) {
      const size_t i = answer->user_data;
      const int result = answer->res;
      io_uring_cqe_seen(&ring, answer);
      if (result > 0) done[i] += static_cast<size_t>(result);
      const bool again = result > 0 || result == -EINTR || result == -EAGAIN;
      if (done[i] == writes[i].bytes.size()) {
        --pending;
      } else if (again && status) {
        submit(i);
      } else {
        if (status) status = write_error(writes[i], done[i], result < 0 ? -result : EIO);
        --pending;
      }
    }
  }
  return status;
}

}  // namespace multiraft::env
