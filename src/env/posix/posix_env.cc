#include "env/posix/posix_env.h"

#include <sys/random.h>

#include <cerrno>

#include "base/assert.h"
#include "env/posix/connector.h"
#include "env/posix/posix_clock.h"
#include "env/posix/posix_executor.h"
#include "env/posix/posix_file_system.h"
#include "env/posix/posix_listener.h"
#include "env/posix/resolver.h"
#include "env/posix/uring_writer.h"

namespace multiraft::env {
namespace {

/// Sockets and the like live in executors that start_executor() made: others have no poller.
const std::shared_ptr<ExecutorCore>& core_of(Executor& executor) {
  auto* posix = dynamic_cast<PosixExecutor*>(&executor);
  MR_ASSERT_MSG(posix != nullptr, "this needs an executor with a poller");
  return posix->core();
}

class PosixNetwork final : public Network {
 public:
  Result<std::unique_ptr<Listener>> listen(
      Executor& executor, const Address& address,
      Callback<void(std::unique_ptr<Stream>)> on_accept) override {
    return PosixListener::open(core_of(executor), address, std::move(on_accept));
  }

  void connect(Executor& executor, const Address& address, int64_t timeout_ns,
               Callback<void(Result<std::unique_ptr<Stream>>)> done) override {
    connect_stream(core_of(executor), resolver_, address, timeout_ns, std::move(done));
  }

 private:
  Resolver resolver_;
};

class PosixEnvironment final : public Environment {
 public:
  Clock& clock() override { return clock_; }
  FileSystem& file_system() override { return file_system_; }
  Network& network() override { return network_; }

  uint64_t random_u64() override {
    uint64_t bits = 0;
    // Eight bytes never come in part, but the first call after boot may be interrupted.
    while (::getrandom(&bits, sizeof bits, 0) != sizeof bits) MR_ASSERT(errno == EINTR);
    return bits;
  }

  std::unique_ptr<Executor> start_executor(const std::string& name) override {
    return std::make_unique<PosixExecutor>(name);
  }
  std::unique_ptr<Executor> start_blocking_executor(const std::string& name) override {
    return std::make_unique<BlockingExecutor>(name);
  }
  Result<std::unique_ptr<DirectWriter>> make_direct_writer(Executor& owner,
                                                           const std::string& directory) override {
    return make_uring_writer(core_of(owner), file_system_, directory);
  }

 private:
  PosixClock clock_;
  PosixFileSystem file_system_;
  PosixNetwork network_;
};

}  // namespace

std::unique_ptr<Environment> make_posix_environment() {
  return std::make_unique<PosixEnvironment>();
}

}  // namespace multiraft::env
