// multiraft: the server's process. Everything else is in Server.

#include <cstdio>
#include <cstdlib>
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

/// One server from start to stop. Nothing: its replicas are to be given up.
std::optional<ExitStatus> serve_once(const ServerOptions& options, env::Environment& env,
                                     env::StopSignal& stop_signal) {
  Ending ending([&stop_signal] { stop_signal.notify(); });
  std::string signal;
  auto server = Server::start(options, env, ending, [&stop_signal, &signal](int64_t ns) {
    if (signal.empty()) signal = stop_signal.wait_for(ns);
    return !signal.empty();
  });
  if (!server && !signal.empty()) {
    log_event(Severity::kInfo, "stopping", {{"signal", signal}});
    return ExitStatus::kOk;
  }
  if (!server) {
    log_event(Severity::kError, "not started", {{"reason", server.status().message()}});
    return status_of_failed_start(server.status().code());
  }
  while (signal.empty() && !ending.requested()) signal = stop_signal.wait();
  if (!signal.empty()) log_event(Severity::kInfo, "stopping", {{"signal", signal}});
  const bool rejoins = signal.empty() && ending.rejoins();
  if (!rejoins) env::notify_service_manager("STOPPING=1");
  (*server)->stop();
  if (rejoins) return std::nullopt;
  return ending.requested() && !ending.rejoins() ? ending.status() : ExitStatus::kOk;
}

int serve(const CommandLine& line, env::Environment& env, env::StopSignal& stop_signal) {
  const ServerOptions& options = line.options;
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
