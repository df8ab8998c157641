#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/sst_file_manager.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <utility>

#include "kv/rocks_engine.h"
#include "kv/write_pressure.h"

#if defined(__SANITIZE_THREAD__)
// Debian's library is not instrumented: what it does with atomics looks like races.
extern "C" const char* __tsan_default_suppressions() { return "race:librocksdb.so\n"; }
#endif

namespace multiraft::kv {
namespace {

constexpr double kBloomBitsPerKey = 10;
constexpr size_t kWarningBytesMax = 512;
constexpr uint64_t kManifestBytesMax = 16 * limits::kMiB;

/// Whoever writes when a memtable is full also logs. In a file on a disk that hangs it would wait
/// there, whatever no_slowdown says (trap 37).
class WarningLogger final : public rocksdb::Logger {
 public:
  explicit WarningLogger(std::function<void(std::string_view)> sink)
      : rocksdb::Logger(rocksdb::WARN_LEVEL), sink_(std::move(sink)) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    if (!sink_) return;
    std::array<char, kWarningBytesMax> text;
    const int length = std::vsnprintf(text.data(), text.size(), format, arguments);
    if (length > 0) {
      sink_({text.data(), std::min(static_cast<size_t>(length), text.size() - 1)});
    }
  }

 private:
  const std::function<void(std::string_view)> sink_;
};

std::shared_ptr<rocksdb::TableFactory> table_factory(const RocksOptions& options) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  // Indexes and filters count against the cache: otherwise memory grows with the data. In parts:
  // those of a whole table are hundreds of KiB, to be read for one key where the cache is small.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.metadata_block_size = 4 * limits::kKiB;
  table.pin_top_level_index_and_filter = true;
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.format_version = 5;
  return std::shared_ptr<rocksdb::TableFactory>(rocksdb::NewBlockBasedTableFactory(table));
}

}  // namespace

rocksdb::Options make_rocks_options(const RocksOptions& options,
                                    std::shared_ptr<rocksdb::EventListener> listener) {
  rocksdb::Options out;
  out.create_if_missing = true;
  out.paranoid_checks = true;
  if (options.env != nullptr) out.env = options.env;
  out.listeners.push_back(std::move(listener));

  // Watches the room on the disk: goes on by itself after it was full, and starts no compaction
  // that would not fit.
  out.sst_file_manager.reset(rocksdb::NewSstFileManager(out.env));
  out.sst_file_manager->SetCompactionBufferSize(2 * options.table_bytes_target);

  out.write_buffer_size = options.write_buffer_bytes;
  out.max_write_buffer_number = options.write_buffers_max;
  out.max_background_jobs = options.background_jobs_max;
  out.max_open_files = options.open_files_max;
  out.target_file_size_base = options.table_bytes_target;
  out.max_bytes_for_level_base = 4 * options.write_buffer_bytes;
  out.level_compaction_dynamic_level_bytes = true;
  // Background writes reach the disk bit by bit, so that they do not hold up the log's syncs.
  out.bytes_per_sync = 1 * limits::kMiB;

  // It takes a batch or refuses it, and paces nobody: see write_pressure.h.
  out.level0_slowdown_writes_trigger = kLevel0FilesStop;
  out.level0_stop_writes_trigger = kLevel0FilesStop;
  out.soft_pending_compaction_bytes_limit = 0;

  // Files that a reader was the last to use are unlinked in the background, not by the reader.
  out.avoid_unnecessary_blocking_io = true;

  out.compression = rocksdb::kLZ4Compression;
  out.bottommost_compression = rocksdb::kZSTD;
  out.table_factory = table_factory(options);

  out.info_log_level = rocksdb::WARN_LEVEL;
  out.info_log = std::make_shared<WarningLogger>(options.on_warning);
  out.max_manifest_file_size = kManifestBytesMax;
  out.stats_dump_period_sec = 0;
  out.stats_persist_period_sec = 0;
  return out;
}

}  // namespace multiraft::kv
