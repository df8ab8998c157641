// Any bytes as a snapshot file. The first byte says whether the checksums are put right, so that
// what they cover is tested. A file that reads to its end is written the same way again.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/crc32c.h"
#include "env/sim/sim_file_system.h"
#include "fuzz/input.h"
#include "host/snapshot_file.h"

using namespace multiraft;

namespace {

/// Along the layout of docs/formats/snapshot_file.md.
void mend(std::string& file) {
  constexpr size_t kBodySize = 12, kBodyChecksum = 16, kBody = 20;
  if (file.size() < kBody) return;
  const size_t body = fuzz::u32_at(file, kBodySize);
  if (body > file.size() - kBody) return;
  fuzz::mend_checksum(file, kBodyChecksum,
                      crc32c(std::string_view(file).substr(kBody, body),
                             crc32c(std::string_view(file).substr(0, kBodyChecksum))));
  for (size_t at = kBody + body; file.size() - at >= 8;) {
    const size_t size = fuzz::u32_at(file, at);
    const size_t content = size == 0 ? 16 : size;
    if (content > file.size() - at - 8) return;
    fuzz::mend_checksum(file, at + 4, crc32c(std::string_view(file).substr(at + 8, content)));
    at += 8 + content;
    if (size == 0) return;
  }
}

Status copy(env::FileSystem& files, const std::string& from, const std::string& to) {
  auto reader = host::SnapshotFileReader::open(files, from);
  if (!reader) return reader.status();
  auto writer = host::SnapshotFileWriter::create(files, to, (*reader)->header());
  if (!writer) return writer.status();
  std::string chunk;
  do {
    MR_RETURN_IF_ERROR((*reader)->next(chunk));
    MR_RETURN_IF_ERROR((*writer)->append(chunk));
  } while (!chunk.empty());
  return (*writer)->finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(fuzz::view_of(data, size));
  const bool mended = input.u8() % 2 == 0;
  std::string file(input.rest());
  if (mended) mend(file);
  env::SimFileSystem files;
  MR_ASSERT(files.write_file_atomically("given", file).is_ok());
  const Status status = copy(files, "given", "again");
  if (!status) {
    MR_ASSERT(status.code() == StatusCode::kCorruption ||
              status.code() == StatusCode::kUnsupported);
    MR_ASSERT(status.message().find("given") != std::string::npos);
    return 0;
  }
  MR_ASSERT(*files.read_file("again") == file);
  return 0;
}
