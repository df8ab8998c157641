#include "kv/rocks_verify.h"

#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <cstdarg>
#include <memory>

#include "kv/rocks_keys.h"

namespace multiraft::kv {
namespace {

/// RocksDB would make a file for its lines, also in a database that is only read.
class NoLines final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

Status failure(const std::string& directory, const rocksdb::Status& status) {
  const StatusCode code = status.IsCorruption() ? StatusCode::kCorruption : StatusCode::kIoError;
  return {code, directory + ": " + status.ToString()};
}

}  // namespace

Result<std::vector<StoredPosition>> verify_rocks(const std::string& directory, bool every_byte) {
  rocksdb::Options options;
  options.paranoid_checks = true;
  options.info_log = std::make_shared<NoLines>();
  rocksdb::DB* opened = nullptr;
  rocksdb::Status status = rocksdb::DB::OpenForReadOnly(options, directory, &opened);
  if (!status.ok()) return failure(directory, status);
  const std::unique_ptr<rocksdb::DB> db(opened);
  if (every_byte) {
    status = db->VerifyChecksum();
    if (!status.ok()) return failure(directory, status);
  }
  std::vector<StoredPosition> positions;
  rocksdb::ReadOptions read;
  read.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(read));
  for (at->SeekToFirst(); at->Valid();) {
    const std::string_view key = to_view(at->key());
    if (key.size() < kGroupPrefixBytes) {
      return Status(StatusCode::kCorruption, directory + ": a key without a group");
    }
    uint64_t big_endian = 0;
    std::memcpy(&big_endian, key.data(), sizeof big_endian);
    const GroupId group(__builtin_bswap64(big_endian));
    if (key == GroupPrefix(group, KeySpace::kPosition).view()) {
      const auto position = decode_position(to_view(at->value()));
      if (!position) {
        return Status(StatusCode::kCorruption,
                      directory + ": the position of group " + to_string(group) + " is malformed");
      }
      positions.push_back({group, position->index, position->term});
    }
    at->Seek(GroupPrefix(group, KeySpace::kEnd).slice());
  }
  if (!at->status().ok()) return failure(directory, at->status());
  return positions;
}

}  // namespace multiraft::kv
