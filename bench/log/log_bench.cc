// The shared log against a bare synced write, RocksDB with a synced WAL and LMDB, in one run:
// durable batches of 1, 16 and 128 records of 128 bytes, spread over 1,000 groups.
//
//   bench_log [DIRECTORY] [SECONDS-PER-CASE] [RECORDS-PER-BATCH]
//
// "1 at a time" waits for each batch before it makes the next. "4 at a time" has four batches on
// their way, as a worker under load does; RocksDB gets them from four threads, whose writes it
// joins, and its latencies are then those of one of the threads.

#include <lmdb.h>
#include <rocksdb/db.h>

#include <algorithm>
#include <cinttypes>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/assert.h"
#include "env/posix/posix_env.h"
#include "env/posix/process.h"
#include "log/log.h"
#include "raft/entry_checksum.h"

namespace multiraft {
namespace {

constexpr size_t kGroups = 1000;
constexpr size_t kDataBytes = 128;
constexpr uint64_t kEntriesKept = 32;
constexpr size_t kBatchesAhead = 4;

struct Measured {
  std::string what;
  size_t batch = 0;
  uint64_t records = 0;
  double seconds = 0;
  double cpu_seconds = 0;
  std::vector<double> latencies_us;

  double cpu_per_record() const { return cpu_seconds * 1e6 / static_cast<double>(records); }
  double rate() const { return static_cast<double>(records) / seconds; }
  double percentile(double p) {
    std::sort(latencies_us.begin(), latencies_us.end());
    const double at = p * static_cast<double>(latencies_us.size() - 1);
    return latencies_us[static_cast<size_t>(at)];
  }
};

/// Runs `batch_of` (which makes one batch durable before it returns) for a while.
Measured measure(env::Environment& env, std::string what, size_t batch, double seconds,
                 const std::function<void()>& batch_of) {
  for (int i = 0; i < 200; ++i) batch_of();
  Measured m;
  m.what = std::move(what);
  m.batch = batch;
  const env::ProcessUsage before = env::process_usage();
  const env::MonotonicTime start = env.clock().now();
  env::MonotonicTime last = start;
  while (static_cast<double>(last - start) < seconds * 1e9) {
    batch_of();
    const env::MonotonicTime now = env.clock().now();
    m.latencies_us.push_back(static_cast<double>(now - last) / 1e3);
    m.records += batch;
    last = now;
  }
  const env::ProcessUsage after = env::process_usage();
  m.seconds = static_cast<double>(last - start) / 1e9;
  m.cpu_seconds = static_cast<double>(after.cpu_user_ns - before.cpu_user_ns + after.cpu_system_ns -
                                      before.cpu_system_ns) /
                  1e9;
  return m;
}

Measured bare_sync(env::Environment& env, const std::string& directory, size_t batch,
                   double seconds) {
  auto file = env.file_system().open(directory + "/bare", env::OpenMode::kCreate);
  MR_ASSERT(file.is_ok());
  constexpr uint64_t kFileBytes = 64 * limits::kMiB;
  MR_ASSERT((*file)->zero(0, kFileBytes).is_ok() && (*file)->sync_all().is_ok());
  const uint64_t write_bytes = (64 + batch * (kDataBytes + 76) + 4095) / 4096 * 4096;
  const std::string bytes(write_bytes, 'x');
  uint64_t at = 0;
  return measure(env, "bare pwrite + fdatasync", batch, seconds, [&] {
    const std::string_view parts[] = {bytes};
    MR_ASSERT((*file)->write_at(at, parts).is_ok() && (*file)->sync_data().is_ok());
    at = at + 2 * write_bytes > kFileBytes ? 0 : at + write_bytes;
  });
}

/// Drives a log on its owner's thread.
class LogDriver {
 public:
  LogDriver(env::Environment& env, env::Executor& owner, log::Log& log, size_t batch, size_t ahead)
      : env_(env), owner_(owner), log_(log), batch_(batch), ahead_(ahead) {
    for (uint64_t group = 0; group <= kGroups; ++group) {
      payload_checksums_.push_back(
          raft::payload_checksum(raft::group_checksum_seed(GroupId(group)), data_));
    }
  }

  Measured run(std::string what, double seconds) {
    m_.what = std::move(what);
    m_.batch = batch_;
    owner_.post([this, seconds] {
      start_ = env_.clock().now();
      warm_until_ = start_ + 100 * env::kMillisecond;
      end_ = warm_until_ + static_cast<int64_t>(seconds * 1e9);
      for (size_t i = 0; i < ahead_; ++i) next();
    });
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return done_; });
    return std::move(m_);
  }

 private:
  void next() {
    const env::MonotonicTime started = env_.clock().now();
    for (size_t i = 0; i < batch_; ++i) {
      const GroupId group(1 + next_group_++ % kGroups);
      log::GroupLog& state = *log_.group(group);
      const LogIndex index = state.last_index() + 1;
      raft::Entry entry{Term(1), index, raft::EntryType::kNormal, data_};
      entry.checksum = raft::entry_checksum(payload_checksums_[group.value], entry.term, index,
                                            entry.type, data_.size());
      if (index.value % kEntriesKept == 0 && index.value > kEntriesKept) {
        raft::Snapshot mark;
        mark.index = index - kEntriesKept;
        mark.term = Term(1);
        log_.compact(group, mark);
      }
      const raft::HardState hard_state{Term(1), ReplicaId(1), index - 1};
      Callback<void()> durable;
      if (i + 1 == batch_) durable = [this, started] { completed(started); };
      log_.stage({group, hard_state, nullptr, {&entry, 1}, true}, std::move(durable));
    }
    log_.flush();
  }

  void completed(env::MonotonicTime started) {
    const env::MonotonicTime now = env_.clock().now();
    if (!warm_ && now >= warm_until_) {
      warm_ = true;
      usage_ = env::process_usage();
      start_ = now;
    } else if (warm_) {
      m_.latencies_us.push_back(static_cast<double>(now - started) / 1e3);
      m_.records += batch_;
    }
    if (now < end_) return next();
    if (--ahead_ > 0) return;
    const env::ProcessUsage after = env::process_usage();
    std::lock_guard lock(mutex_);
    m_.seconds = static_cast<double>(now - start_) / 1e9;
    m_.cpu_seconds = static_cast<double>(after.cpu_user_ns - usage_.cpu_user_ns +
                                         after.cpu_system_ns - usage_.cpu_system_ns) /
                     1e9;
    done_ = true;
    ended_.notify_one();
  }

  env::Environment& env_;
  env::Executor& owner_;
  log::Log& log_;
  const size_t batch_;
  size_t ahead_;
  /// Made where a command enters the system, which is not here.
  std::vector<uint32_t> payload_checksums_;
  const SharedBytes data_ = SharedBytes::copy_of(std::string(kDataBytes, 'v'));
  uint64_t next_group_ = 0;
  env::MonotonicTime start_, warm_until_, end_;
  env::ProcessUsage usage_;
  bool warm_ = false;
  Measured m_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool done_ = false;
};

std::vector<Measured> our_log(env::Environment& env, const std::string& directory,
                              log::WriterKind writer, const std::string& name, size_t batch,
                              double seconds) {
  std::vector<Measured> all;
  auto owner = env.start_executor("worker");
  std::unique_ptr<log::Log> log;
  log::LogOptions options;
  options.directory = directory + "/" + name;
  options.writer = writer;
  auto on_owner = [&](std::function<void()> what) {
    std::mutex mutex;
    std::condition_variable ended;
    bool done = false;
    owner->post([&] {
      what();
      std::lock_guard lock(mutex);
      done = true;
      ended.notify_one();
    });
    std::unique_lock lock(mutex);
    ended.wait(lock, [&] { return done; });
  };
  bool opened = false;
  on_owner([&] {
    auto result = log::Log::open(options, env, *owner, [](Status status) {
      fprintf(stderr, "%s\n", status.to_string().c_str());
      std::abort();
    });
    if (!result) {
      fprintf(stderr, "%s: %s\n", name.c_str(), result.status().to_string().c_str());
      return;
    }
    log = std::move(*result);
    for (uint64_t g = 1; g <= kGroups; ++g) {
      if (!log->group(GroupId(g)))
        MR_ASSERT(log->create_group(GroupId(g), ReplicaId(1), {}).is_ok());
    }
    log->flush();
    opened = true;
  });
  if (opened) {
    for (size_t ahead : {size_t{1}, kBatchesAhead}) {
      LogDriver driver(env, *owner, *log, batch, ahead);
      all.push_back(driver.run(name + ", " + std::to_string(ahead) + " at a time", seconds));
    }
    on_owner([&] { log->close(); });
  }
  on_owner([&] { log.reset(); });
  owner->stop();
  return all;
}

std::string key_of(uint64_t group, uint64_t index) {
  char key[16];
  for (int i = 0; i < 8; ++i) key[i] = static_cast<char>(group >> (56 - 8 * i));
  for (int i = 0; i < 8; ++i) key[8 + i] = static_cast<char>(index >> (56 - 8 * i));
  return std::string(key, sizeof key);
}

/// `threads` writers at once, each waiting for its own batches.
Measured rocksdb_wal(env::Environment& env, const std::string& directory, size_t batch,
                     size_t threads, double seconds) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.recycle_log_file_num = 4;
  const std::string path = directory + "/rocksdb-" + std::to_string(threads);
  rocksdb::DB* opened = nullptr;
  MR_ASSERT(rocksdb::DB::Open(options, path, &opened).ok());
  std::unique_ptr<rocksdb::DB> db(opened);
  rocksdb::WriteOptions durable;
  durable.sync = true;
  const std::string value(kDataBytes, 'v');
  const std::string what = "RocksDB WAL, " + std::to_string(threads) + " at a time";
  std::vector<Measured> parts(threads);
  std::vector<std::thread> writers;
  for (size_t t = 0; t < threads; ++t) {
    writers.emplace_back([&, t] {
      uint64_t next = t << 40;
      parts[t] = measure(env, what, batch, seconds, [&] {
        rocksdb::WriteBatch write;
        for (size_t i = 0; i < batch; ++i, ++next) {
          write.Put(key_of(1 + next % kGroups, 1 + next / kGroups), value);
        }
        MR_ASSERT(db->Write(durable, &write).ok());
      });
    });
  }
  for (std::thread& writer : writers) writer.join();
  Measured sum = std::move(parts[0]);  // Each part has the CPU time of the whole process.
  for (size_t t = 1; t < threads; ++t) {
    sum.records += parts[t].records;
    sum.latencies_us.insert(sum.latencies_us.end(), parts[t].latencies_us.begin(),
                            parts[t].latencies_us.end());
  }
  return sum;
}

Measured lmdb(env::Environment& env, const std::string& directory, size_t batch, double seconds) {
  const std::string path = directory + "/lmdb";
  MR_ASSERT(env.file_system().create_directories(path).is_ok());
  MDB_env* db = nullptr;
  MR_ASSERT(mdb_env_create(&db) == 0 && mdb_env_set_mapsize(db, size_t{8} << 30) == 0);
  MR_ASSERT(mdb_env_open(db, path.c_str(), 0, 0644) == 0);
  MDB_dbi table = 0;
  MDB_txn* txn = nullptr;
  MR_ASSERT(mdb_txn_begin(db, nullptr, 0, &txn) == 0 && mdb_dbi_open(txn, nullptr, 0, &table) == 0);
  MR_ASSERT(mdb_txn_commit(txn) == 0);
  std::string value(kDataBytes, 'v');
  uint64_t next = 0;
  Measured m = measure(env, "LMDB", batch, seconds, [&] {
    MR_ASSERT(mdb_txn_begin(db, nullptr, 0, &txn) == 0);
    for (size_t i = 0; i < batch; ++i, ++next) {
      std::string key = key_of(1 + next % kGroups, 1 + next / kGroups);
      MDB_val k{key.size(), key.data()};
      MDB_val v{value.size(), value.data()};
      MR_ASSERT(mdb_put(txn, table, &k, &v, 0) == 0);
    }
    MR_ASSERT(mdb_txn_commit(txn) == 0);
  });
  mdb_env_close(db);
  return m;
}

void print(Measured& m, const std::vector<Measured>& all, Measured& bare) {
  // With the peer that has as many batches on their way.
  const std::string mode = std::to_string(kBatchesAhead) + " at a time";
  const bool several = m.what.ends_with(mode);
  const auto peer = std::find_if(all.begin(), all.end(), [&](const Measured& other) {
    return other.what.starts_with("RocksDB") && other.what.ends_with(mode) == several;
  });
  printf(
      "  %-26s %10.0f records/s  p50 %7.1f us  p99 %7.1f us  CPU %6.2f us/record  "
      "%5.2f x RocksDB's rate, 1/%.1f of its CPU  p50 %.2f x bare sync\n",
      m.what.c_str(), m.rate(), m.percentile(0.5), m.percentile(0.99), m.cpu_per_record(),
      m.rate() / peer->rate(), peer->cpu_per_record() / m.cpu_per_record(),
      m.percentile(0.5) / bare.percentile(0.5));
}

void run(env::Environment& env, const std::string& directory, size_t batch, double seconds) {
  MR_ASSERT(env.file_system().remove_all(directory).is_ok());
  MR_ASSERT(env.file_system().create_directories(directory).is_ok());
  std::vector<Measured> all;
  all.push_back(bare_sync(env, directory, batch, seconds));
  for (const auto& [writer, name] : {std::pair(log::WriterKind::kPwrite, "log-pwrite"),
                                     std::pair(log::WriterKind::kUring, "log-uring")}) {
    for (Measured& m : our_log(env, directory, writer, name, batch, seconds)) {
      all.push_back(std::move(m));
    }
  }
  for (size_t threads : {size_t{1}, kBatchesAhead}) {
    all.push_back(rocksdb_wal(env, directory, batch, threads, seconds));
  }
  all.push_back(lmdb(env, directory, batch, seconds));
  printf("batches of %zu records of %zu bytes, %zu groups\n", batch, kDataBytes, kGroups);
  for (Measured& m : all) print(m, all, all[0]);
  fflush(stdout);
  MR_ASSERT(env.file_system().remove_all(directory).is_ok());
}

}  // namespace
}  // namespace multiraft

int main(int argc, char** argv) {
  const std::string directory = argc > 1 ? argv[1] : "bench-log-data";
  const double seconds = argc > 2 ? std::strtod(argv[2], nullptr) : 2.0;
  const size_t only = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 0;
  auto env = multiraft::env::make_posix_environment();
  for (size_t batch : {size_t{1}, size_t{16}, size_t{128}}) {
    if (only == 0 || only == batch) multiraft::run(*env, directory, batch, seconds);
  }
  return 0;
}
