// multiraft: the server's process. Everything else is in Server.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "env/posix/posix_env.h"
#include "env/posix/process.h"
#include "server/logging.h"
#include "server/options.h"
#include "server/server.h"

namespace multiraft::server {
namespace {

int as_int(ExitStatus status) { return static_cast<int>(status); }

/// A state directory that cannot be used is 3; a disk that fails is 5; what may be there at the
/// next try (an address, a port, descriptors) is 1, on which a service manager starts again.
ExitStatus status_of_failed_start(StatusCode code) {
  switch (code) {
    case StatusCode::kInvalidArgument:
    case StatusCode::kAlreadyExists:
      return ExitStatus::kUsage;
    case StatusCode::kIoError:
    case StatusCode::kNoSpace:
      return ExitStatus::kDiskFailure;
    case StatusCode::kUnavailable:
    case StatusCode::kOverloaded:
      return ExitStatus::kTryAgain;
    default:
      return ExitStatus::kStateDirectory;
  }
}

/// Waits for signals while a server starts. A start may be stuck where nothing can interrupt it: in
/// the look-up of the name to listen on, or on a disk that hangs.
class StartWatch {
 public:
  StartWatch(env::Environment& env, env::StopSignal& stop_signal)
      : stop_signal_(stop_signal), thread_(env.start_executor("start-watch")) {
    thread_->post([this] { watch(); });
  }
  ~StartWatch() { end(); }

  /// True: the start is to end. Returns early then.
  bool pause(int64_t ns) {
    std::unique_lock lock(mutex_);
    asked_.wait_for(lock, std::chrono::nanoseconds(ns), [this] { return !signal_.empty(); });
    return !signal_.empty();
  }
  /// The start is over. The signal that came meanwhile, if one did.
  std::string end() {
    ended_.store(true);
    stop_signal_.notify();
    thread_->stop();
    std::lock_guard lock(mutex_);
    return signal_;
  }

 private:
  /// What a start does by itself once it was asked to end.
  static constexpr int64_t kGraceNs = 300 * env::kMillisecond;

  void watch() {
    std::string signal;
    while (signal.empty() && !ended_.load()) signal = stop_signal_.wait();
    if (signal.empty()) return;
    {
      std::lock_guard lock(mutex_);
      signal_ = signal;
    }
    asked_.notify_all();
    if (ended_.load()) return;
    (void)stop_signal_.wait_for(kGraceNs);  // A second signal is one too many.
    if (ended_.load()) return;
    // Nothing was promised to anybody that is not on the disk: this is as good as a kill.
    log_event(Severity::kWarn, "stopped while it started", {{"signal", signal}});
    flush_log();
    std::_Exit(as_int(ExitStatus::kOk));
  }

  env::StopSignal& stop_signal_;
  std::atomic<bool> ended_{false};
  std::mutex mutex_;
  std::condition_variable asked_;
  std::string signal_;
  const std::unique_ptr<env::Executor> thread_;
};

/// One server from start to stop. Nothing: its replicas are to be given up.
std::optional<ExitStatus> serve_once(const ServerOptions& options, env::Environment& env,
                                     env::StopSignal& stop_signal) {
  ShutdownRequest shutdown_request([&stop_signal] { stop_signal.notify(); });
  StartWatch watch(env, stop_signal);
  auto server = Server::start(options, env, shutdown_request,
                              [&watch](int64_t ns) { return watch.pause(ns); });
  std::string signal = watch.end();
  if (!server && !signal.empty()) {
    log_event(Severity::kInfo, "stopping", {{"signal", signal}});
    return ExitStatus::kOk;
  }
  if (!server) {
    log_event(Severity::kError, "not started", {{"reason", server.status().message()}});
    return status_of_failed_start(server.status().code());
  }
  while (signal.empty() && !shutdown_request.requested()) signal = stop_signal.wait();
  if (!signal.empty()) log_event(Severity::kInfo, "stopping", {{"signal", signal}});
  const bool rejoins = signal.empty() && shutdown_request.rejoins();
  if (!rejoins) env::notify_service_manager("STOPPING=1");
  (*server)->stop();
  if (rejoins) return std::nullopt;
  return shutdown_request.requested() && !shutdown_request.rejoins() ? shutdown_request.status()
                                                                     : ExitStatus::kOk;
}

int serve(const CommandLine& line, env::Environment& env, env::StopSignal& stop_signal) {
  ServerOptions options = line.options;
  start_logging(options.log_level, options.json_log);
  for (const std::string& name : line.unknown_variables) {
    log_event(Severity::kWarn, "environment variable is no setting", {{"name", name}});
  }
  std::optional<ExitStatus> status;
  while (!(status = serve_once(options, env, stop_signal))) {
    // The server is gone, and with it its hold on the directory.
    if (Status given_up = give_up_replicas(options, env); !given_up) {
      log_event(
          Severity::kError, "replicas not given up",
          {{"reason", given_up.message()},
           {"type", "multiraft-log repair -from_peers -yes -state_dir=" + options.state_dir}});
      status = ExitStatus::kStateDirectory;
      break;
    }
    // It asked for one start only, and what comes now is a join.
    options.force_new_registry = false;
  }
  log_event(Severity::kInfo, "stopped", {{"status", std::to_string(as_int(*status))}});
  flush_log();
  return as_int(*status);
}

int run(int argc, char** argv) {
  env::StopSignal stop_signal;  // Before any other thread, which would not inherit the mask.
  const auto env = env::make_posix_environment();
  auto line = parse_command_line(argc, argv, env->file_system());
  if (!line) {
    std::fprintf(stderr, "multiraft: %s\n", line.status().message().c_str());
    return as_int(ExitStatus::kUsage);
  }
  switch (line->action) {
    case CommandLine::Action::kHelp:
      std::fputs(help_text().c_str(), stdout);
      return 0;
    case CommandLine::Action::kVersion:
      std::fputs(version_text().c_str(), stdout);
      return 0;
    case CommandLine::Action::kCheckConfig:
      std::puts("the configuration is valid");
      return 0;
    case CommandLine::Action::kServe:
      return serve(*line, *env, stop_signal);
  }
  return as_int(ExitStatus::kUsage);
}

}  // namespace
}  // namespace multiraft::server

int main(int argc, char** argv) { return multiraft::server::run(argc, argv); }
