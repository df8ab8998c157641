#include "host/snapshot_file.h"

#include <array>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "raft/encoding.h"

namespace multiraft::host {
namespace {

constexpr uint64_t kMagic = 0x50414e5354464d52;  // "RMFTSNAP"
constexpr uint32_t kVersion = 2;
constexpr size_t kCheckedBytes = 8 + 4 + 4;              // magic, version, body length
constexpr size_t kFixedHeaderBytes = kCheckedBytes + 4;  // checksum of these and of the body
constexpr size_t kChunkHeaderBytes = 8;                  // length, checksum
constexpr size_t kHeaderBodyBytesMax = limits::kMiB;
/// One record of a state machine may not be cut in two, so a chunk holds a value at least.
constexpr size_t kChunkBytesMax = 2 * limits::kProposalBytesMax;
constexpr std::string_view kTemporarySuffix = ".tmp";

std::string encode_trailer(uint64_t chunks, uint64_t bytes) {
  std::string totals;
  ByteWriter w(totals);
  w.u64(chunks);
  w.u64(bytes);
  return totals;
}

}  // namespace

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

Result<std::unique_ptr<SnapshotFileWriter>> SnapshotFileWriter::create(
    env::FileSystem& fs, std::string path, const SnapshotFileHeader& header) {
  auto file = fs.open(path + std::string(kTemporarySuffix), env::OpenMode::kCreate);
  if (!file) return file.status();
  std::unique_ptr<SnapshotFileWriter> writer(
      new SnapshotFileWriter(fs, std::move(path), std::move(*file)));
  MR_RETURN_IF_ERROR(writer->file_->truncate(0));
  std::string body;
  ByteWriter w(body);
  w.u64(header.group.value);
  w.u64(header.replica.value);
  raft::encode(header.snapshot, w);
  std::string out;
  ByteWriter head(out);
  head.u64(kMagic);
  head.u32(kVersion);
  head.u32(static_cast<uint32_t>(body.size()));
  head.u32(crc32c(body, crc32c(out)));
  head.bytes(body);
  MR_RETURN_IF_ERROR(writer->write(out));
  return writer;
}

SnapshotFileWriter::~SnapshotFileWriter() {
  if (finished_) return;
  file_.reset();
  // A leftover is cleared at the next start as well; nothing depends on this removal.
  (void)fs_.remove(path_ + std::string(kTemporarySuffix));
}

Status SnapshotFileWriter::write(std::string_view bytes) {
  const std::array<std::string_view, 1> parts{bytes};
  MR_RETURN_IF_ERROR(file_->write_at(offset_, parts));
  offset_ += bytes.size();
  return Status::ok();
}

Status SnapshotFileWriter::append(std::string_view chunk) {
  if (chunk.empty()) return Status::ok();
  if (chunk.size() > kChunkBytesMax) {
    return Status(StatusCode::kTooLarge, "snapshot chunk of " + std::to_string(chunk.size()) +
                                             " bytes is above the limit");
  }
  std::string head;
  ByteWriter w(head);
  w.u32(static_cast<uint32_t>(chunk.size()));
  w.u32(crc32c(chunk));
  const std::array<std::string_view, 2> parts{head, chunk};
  MR_RETURN_IF_ERROR(file_->write_at(offset_, parts));
  offset_ += head.size() + chunk.size();
  ++chunks_;
  bytes_ += chunk.size();
  return Status::ok();
}

Status SnapshotFileWriter::write_trailer() {
  const std::string totals = encode_trailer(chunks_, bytes_);
  std::string out;
  ByteWriter w(out);
  w.u32(0);
  w.u32(crc32c(totals));
  w.bytes(totals);
  return write(out);
}

Status SnapshotFileWriter::put_in_place() {
  file_.reset();
  MR_RETURN_IF_ERROR(fs_.rename(path_ + std::string(kTemporarySuffix), path_));
  finished_ = true;
  return Status::ok();
}

Status SnapshotFileWriter::finish() {
  MR_RETURN_IF_ERROR(write_trailer());
  MR_RETURN_IF_ERROR(file_->sync_all());
  MR_RETURN_IF_ERROR(put_in_place());
  return fs_.sync_directory(directory_of(path_));
}

Status SnapshotFileWriter::finish_volatile() {
  MR_RETURN_IF_ERROR(write_trailer());
  return put_in_place();
}

Status keep_snapshot(env::FileSystem& fs, const std::string& from, const std::string& to) {
  auto file = fs.open(from, env::OpenMode::kReadWrite);
  if (!file) return file.status();
  MR_RETURN_IF_ERROR((*file)->sync_all());
  MR_RETURN_IF_ERROR(fs.rename(from, to));
  return fs.sync_directory(directory_of(to));
}

Result<std::unique_ptr<SnapshotFileReader>> SnapshotFileReader::open(env::FileSystem& fs,
                                                                     const std::string& path) {
  auto file = fs.open(path, env::OpenMode::kRead);
  if (!file) return file.status();
  std::unique_ptr<SnapshotFileReader> reader(new SnapshotFileReader(std::move(*file)));
  MR_RETURN_IF_ERROR(reader->read_header());
  return reader;
}

Status SnapshotFileReader::corrupt(std::string_view what) const {
  return Status(StatusCode::kCorruption,
                file_->path() + ": offset " + std::to_string(offset_) + ": " + std::string(what));
}

Status SnapshotFileReader::read(size_t size, std::string& out) {
  out.resize(size);
  auto got = file_->read_at(offset_, out);
  if (!got) return got.status();
  if (*got != size) return corrupt("the snapshot ends too early");
  offset_ += size;
  return Status::ok();
}

Status SnapshotFileReader::read_header() {
  std::string fixed;
  MR_RETURN_IF_ERROR(read(kFixedHeaderBytes, fixed));
  ByteReader head(fixed);
  if (head.u64() != kMagic) return corrupt("not a snapshot file");
  const uint32_t version = head.u32();
  const size_t body_bytes = head.u32();
  const uint32_t checksum = head.u32();
  if (body_bytes > kHeaderBodyBytesMax) return corrupt("the header is too long");
  std::string body;
  MR_RETURN_IF_ERROR(read(body_bytes, body));
  if (crc32c(body, crc32c(std::string_view(fixed).substr(0, kCheckedBytes))) != checksum) {
    return corrupt("the header's checksum does not match");
  }
  if (version > kVersion) {
    return Status(StatusCode::kUnsupported,
                  file_->path() +
                      ": a newer version of multiraft has written it (snapshot version " +
                      std::to_string(version) + ", and this program knows " +
                      std::to_string(kVersion) + "): start the node with that version");
  }
  if (version != kVersion) {
    return corrupt("snapshot version " + std::to_string(version) + " is not known");
  }
  ByteReader in(body);
  header_.group = GroupId(in.u64());
  header_.replica = ReplicaId(in.u64());
  if (!raft::decode(in, header_.snapshot) || !in.complete()) return corrupt("malformed header");
  return Status::ok();
}

Status SnapshotFileReader::next(std::string& chunk) {
  std::string head;
  MR_RETURN_IF_ERROR(read(kChunkHeaderBytes, head));
  ByteReader in(head);
  const size_t size = in.u32();
  const uint32_t checksum = in.u32();
  if (size > kChunkBytesMax) return corrupt("a chunk is too long");
  const size_t body_bytes = size == 0 ? 16 : size;
  MR_RETURN_IF_ERROR(read(body_bytes, chunk));
  if (crc32c(chunk) != checksum) return corrupt("a chunk's checksum does not match");
  if (size == 0) {
    if (chunk != encode_trailer(chunks_, bytes_)) return corrupt("chunks are missing");
    auto file_bytes = file_->size();
    if (!file_bytes) return file_bytes.status();
    if (*file_bytes != offset_) return corrupt("there is something behind the end");
    chunk.clear();
    return Status::ok();
  }
  ++chunks_;
  bytes_ += size;
  return Status::ok();
}

Status remove_temporary_snapshots(env::FileSystem& fs, const std::string& directory) {
  auto names = fs.list(directory);
  if (!names) return names.status();
  for (const std::string& name : *names) {
    if (name.ends_with(kTemporarySuffix)) {
      MR_RETURN_IF_ERROR(fs.remove(directory + "/" + name));
    }
  }
  return Status::ok();
}

}  // namespace multiraft::host
