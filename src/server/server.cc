#include "server/server.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/mutex.h"
#include "env/posix/process.h"
#include "host/node_host.h"
#include "kv/command.h"
#include "kv/kv_engine.h"
#include "node/node.h"
#include "rest/rest_server.h"
#include "server/address_wait.h"
#include "server/descriptor_plan.h"
#include "server/disk_budget.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/process_watch.h"
#include "service/cold_reads.h"
#include "service/node_service.h"
#include "state_dir/repair.h"

namespace multiraft::server {
namespace {

constexpr int64_t kDrainTimeoutNs = 5 * env::kSecond;
/// Nodes try to reach a member that is away twice a second (TransportOptions): until then it turns
/// out whether an empty state directory is a first start or a lost disk.
constexpr int64_t kFoundingWaitNs = 750 * env::kMillisecond;

log::WriterKind writer_kind(const std::string& name) {
  if (name == "pwrite") return log::WriterKind::kPwrite;
  if (name == "uring") return log::WriterKind::kUring;
  return log::WriterKind::kAuto;
}

Severity severity_of(raft::LogLevel level) {
  switch (level) {
    case raft::LogLevel::kDebug:
    case raft::LogLevel::kRoutine:
      return Severity::kDebug;
    case raft::LogLevel::kInfo:
      return Severity::kInfo;
    case raft::LogLevel::kWarn:
      return Severity::kWarn;
    case raft::LogLevel::kError:
    case raft::LogLevel::kFatal:
      return Severity::kError;
  }
  return Severity::kInfo;
}

/// Memory or descriptors that are used up say nothing about the disk: a new process has them.
ExitStatus status_of_fatal(StatusCode code) {
  if (code == StatusCode::kCorruption || code == StatusCode::kUnsupported) {
    return ExitStatus::kStateDirectory;
  }
  return code == StatusCode::kOverloaded ? ExitStatus::kTryAgain : ExitStatus::kDiskFailure;
}

constexpr uint64_t kCacheBytesMin = 64 * limits::kMiB;
/// As long as a request may take.
constexpr int64_t kColdReadTimeoutNs = 5 * env::kSecond;

class ServerImpl final : public Server, node::NodeListener {
 public:
  ServerImpl(const ServerOptions& options, env::Environment& env, ShutdownRequest& shutdown_request,
             std::function<bool(int64_t)> pause)
      : options_(options),
        env_(env),
        shutdown_request_(shutdown_request),
        pause_(std::move(pause)),
        node_(env, *this) {}
  ~ServerImpl() override { stop(); }

  Status start();
  void stop() override;

 private:
  Status open_state();
  uint32_t worker_count() const;
  Status check_engine();
  Status wait_until_addresses_are_there();
  Status start_node();
  Status start_rest();
  cluster::ControllerOptions controller_options() const;
  host::HostOptions host_options();
  void drain();
  std::string metrics(const host::HostStats& stats) const;

  // node::NodeListener
  void on_ready() override;
  void on_removed() override;
  void on_replaced(const Status& status) override;
  void on_other_cluster(const Status& status) override;
  void on_unsupported(const Status& status) override;
  void on_force_refused(const Status& status) override;
  void on_refused(const Status& status) override;
  void on_state_rollback(const Status&) override { shutdown_request_.request_rejoin(); }
  void on_fatal(const Status& status) override;
  void on_node_down(NodeId node) override;
  void on_disk_state(host::DiskState state, const std::string& text) override;
  void log(raft::LogLevel level, std::string_view text) override {
    log_event(severity_of(level), text);
  }

  const ServerOptions options_;
  env::Environment& env_;
  ShutdownRequest& shutdown_request_;
  const std::function<bool(int64_t)> pause_;
  const uint64_t descriptors_max_ = env::raise_open_files_limit();
  DiskBudget disk_budget_ = disk_budget_for(UINT64_MAX);
  std::unique_ptr<kv::KvEngine> kv_;
  node::Node node_;  ///< After the engine, which it uses.
  service::NodeServiceContext context_;
  std::unique_ptr<ProcessWatch> watch_;
  std::unique_ptr<service::ColdReads> cold_reads_;
  std::vector<std::unique_ptr<service::NodeService>> services_;
  std::unique_ptr<rest::RestServer> rest_;
  size_t http_connections_max_ = 0;
  bool stopped_ = false;
};

Status ServerImpl::start() {
  context_.started = env_.clock().now();
  log_event(Severity::kInfo, "starting",
            {{"version", MULTIRAFT_VERSION},
             {"node", to_string(options_.id)},
             {"state_dir", options_.state_dir},
             {"raft", options_.raft.to_string()},
             {"api", options_.api.to_string()}});
  if (descriptors_max_ < kDescriptorsComfortable) {
    log_event(Severity::kWarn, "few file descriptors",
              {{"limit", std::to_string(descriptors_max_)},
               {"client_connections_max",
                std::to_string(
                    plan_for_descriptors(descriptors_max_, worker_count()).http_connections_max)},
               {"advice", "raise the limit of open files (ulimit -n, LimitNOFILE)"}});
  }
  MR_RETURN_IF_ERROR(open_state());
  MR_RETURN_IF_ERROR(wait_until_addresses_are_there());
  MR_RETURN_IF_ERROR(start_node());
  MR_RETURN_IF_ERROR(start_rest());
  return Status::ok();
}

/// Two threads at least, so that a long compaction holds up no flush; and not all processors, which
/// serve requests.
uint32_t engine_jobs_for(uint32_t processors) { return std::clamp(processors / 2 + 1, 2U, 8U); }

uint32_t ServerImpl::worker_count() const {
  return options_.workers != 0 ? options_.workers
                               : std::min(env::processor_count(), disk_budget_.workers_max);
}

/// What one engine has stored the other does not find; with a log that was cut the state would be
/// lost, and with one that was not it would silently live twice.
Status ServerImpl::check_engine() {
  const std::string path = options_.state_dir + "/engine";
  const std::string wanted = options_.memory_engine ? "memory" : "rocksdb";
  auto exists = env_.file_system().exists(path);
  if (!exists) return exists.status();
  if (!*exists) return env_.file_system().write_file_atomically(path, wanted + "\n");
  auto found = env_.file_system().read_file(path);
  if (!found) return found.status();
  const std::string made_with = found->substr(0, found->find('\n'));
  if (made_with == wanted) return Status::ok();
  return {StatusCode::kInvalidArgument,
          options_.state_dir + " was made with -engine=" + made_with + ", not with -engine=" +
              wanted + ". Nothing is lost: start the node with -engine=" + made_with};
}

Status ServerImpl::wait_until_addresses_are_there() {
  AddressWait wait;
  wait.pause = pause_;
  wait.on_waiting = [&wait](const Status& status) {
    log_event(Severity::kWarn, "waiting for an address",
              {{"reason", status.message()},
               {"at_most_s", std::to_string(wait.limit_ns / env::kSecond)}});
  };
  return wait_for_addresses(env_, {options_.raft, options_.api}, wait);
}

Status ServerImpl::open_state() {
  if (Status status = node_.open(options_.id, options_.state_dir, options_.join.empty()); !status) {
    return Status(StatusCode::kConflict, status.message());
  }
  if (node_.facts().phase == state_dir::NodePhase::kRemoved) {
    auto plan = state_dir::plan_repair(env_.file_system(), options_.state_dir);
    const bool cut_off = plan && plan->resumes;
    return Status(
        StatusCode::kConflict,
        options_.state_dir + ": node " + to_string(options_.id) +
            (cut_off ? " was giving up its replicas when it ended. Complete that with "
                       "multiraft-log repair -from_peers -yes -state_dir=" +
                           options_.state_dir
                     : " was removed from its cluster. Wipe the directory to join again"));
  }
  if (auto space = env_.file_system().space(options_.state_dir)) {
    disk_budget_ = disk_budget_for(space->total_bytes);
  }
  MR_RETURN_IF_ERROR(check_engine());
  if (options_.memory_engine) {
    kv_ = kv::make_memory_engine();
    return Status::ok();
  }
  kv::RocksOptions rocks;
  rocks.directory = options_.state_dir + "/kv";
  rocks.block_cache_bytes = options_.cache_bytes != 0
                                ? options_.cache_bytes
                                : std::max<uint64_t>(kCacheBytesMin, env::memory_bytes() / 8);
  rocks.write_buffer_bytes = disk_budget_.write_buffer_bytes;
  rocks.table_bytes_target = disk_budget_.table_bytes;
  rocks.open_files_max = plan_for_descriptors(descriptors_max_, worker_count()).engine_files_max;
  rocks.background_jobs_max = static_cast<int>(
      options_.engine_jobs != 0 ? options_.engine_jobs : engine_jobs_for(env::processor_count()));
  rocks.on_warning = [](std::string_view text) {
    log_event(Severity::kWarn, "rocksdb", {{"says", std::string(text)}});
  };
  auto engine = kv::make_rocksdb_engine(rocks);
  if (!engine) return engine.status();
  kv_ = std::move(*engine);
  return Status::ok();
}

void ServerImpl::on_fatal(const Status& status) {
  // A failed write is never retried and nothing more can be promised: the process ends at once,
  // without a word to anybody that it could not keep (trap 30).
  const ExitStatus exit = status_of_fatal(status.code());
  const char* what = exit == ExitStatus::kStateDirectory ? "damaged state directory"
                     : exit == ExitStatus::kTryAgain     ? "out of resources"
                                                         : "disk failure";
  log_event(Severity::kError, what, {{"reason", status.to_string()}});
  flush_log();
  std::_Exit(static_cast<int>(exit));
}

void ServerImpl::on_removed() {
  log_event(Severity::kInfo, "removed from the cluster");
  shutdown_request_.request(ExitStatus::kOk);
}

void ServerImpl::on_replaced(const Status& status) {
  log_event(Severity::kError, "replaced", {{"reason", status.message()}});
  shutdown_request_.request(ExitStatus::kStateDirectory);
}

void ServerImpl::on_other_cluster(const Status& status) {
  log_event(Severity::kError, "state directory of another cluster", {{"reason", status.message()}});
  shutdown_request_.request(ExitStatus::kStateDirectory);
}

void ServerImpl::on_unsupported(const Status& status) {
  log_event(Severity::kError, "version of the cluster", {{"reason", status.message()}});
  shutdown_request_.request(ExitStatus::kStateDirectory);
}

void ServerImpl::on_force_refused(const Status& status) {
  log_event(Severity::kError, "new registry refused", {{"reason", status.message()}});
  shutdown_request_.request(ExitStatus::kStateDirectory);
}

void ServerImpl::on_refused(const Status& status) {
  log_event(Severity::kError, "join refused", {{"reason", status.message()}});
  shutdown_request_.request(ExitStatus::kJoinRefused);
}

void ServerImpl::on_node_down(NodeId node) {
  log_event(Severity::kWarn, "node down", {{"node", to_string(node)}});
}

void ServerImpl::on_disk_state(host::DiskState state, const std::string& text) {
  log_event(state == host::DiskState::kOk ? Severity::kInfo : Severity::kWarn, "disk",
            {{"state", std::string(host::disk_state_name(state))}, {"detail", text}});
}

cluster::ControllerOptions ServerImpl::controller_options() const {
  cluster::ControllerOptions options;
  options.raft_address = options_.advertise_raft.to_string();
  options.api_address = options_.advertise_api.to_string();
  options.join = options_.join;
  options.replaces_lost_disk = options_.replace_lost_disk;
  options.force_new_registry = options_.force_new_registry;
  options.founding_wait_ns = options_.bootstrap ? -1 : kFoundingWaitNs;
  options.initial_group = options_.initial_group;
  options.heartbeat_ns = options_.heartbeat_ns;
  options.election_ns = options_.election_ns;
  return options;
}

host::HostOptions ServerImpl::host_options() {
  host::HostOptions options;
  options.raft_address = options_.advertise_raft.to_string();
  options.listen = options_.raft;
  options.workers = worker_count();
  options.log_segment_bytes =
      options_.log_segment_bytes != 0 ? options_.log_segment_bytes : disk_budget_.segment_bytes;
  options.log_segments_kept = disk_budget_.segments_kept;
  // As many again are this node's own to others.
  options.connections_max =
      plan_for_descriptors(descriptors_max_, worker_count()).raft_connections_max / 2;
  options.log_spares_max = disk_budget_.spares_max;
  options.compaction.tail_entries = options_.log_keep_entries;
  options.compaction.tail_bytes =
      options_.log_keep_bytes != 0 ? options_.log_keep_bytes : disk_budget_.log_keep_bytes;
  options.compaction.bytes = 2 * options.compaction.tail_bytes;
  options.grows = [](GroupId, std::string_view command) { return kv::grows(command); };
  options.reclaim = [this] { kv_->reclaim(); };
  options.heartbeat_ns = options_.heartbeat_ns;
  options.election_ns = options_.election_ns;
  options.leases = options_.lease_reads;
  options.snapshot_bytes_per_second = options_.snapshot_bytes_per_second;
  options.log_writer = writer_kind(options_.log_writer);
  options.engine = [this](GroupId) -> StateMachineEngine& { return *kv_; };
  options.engines = {kv_.get()};
  return options;
}

Status ServerImpl::start_node() {
  node::NodeOptions options;
  options.id = options_.id;
  options.state_dir = options_.state_dir;
  options.cluster = controller_options();
  options.host = host_options();
  return node_.start(std::move(options));
}

Status ServerImpl::start_rest() {
  context_.node = options_.id;
  context_.host = &node_.host();
  context_.controller = &node_.controller();
  context_.clock = &env_.clock();
  cold_reads_ = std::make_unique<service::ColdReads>(node_.host().pool(), env_.clock(),
                                                     node_.host().executor(0), kColdReadTimeoutNs);
  context_.cold_reads = cold_reads_.get();
  watch_ = std::make_unique<ProcessWatch>(env_, node_.host());
  context_.program_version = MULTIRAFT_VERSION;
  context_.leaders = [this] { return watch_->leaders(); };
  context_.render_metrics = [this](const host::HostStats& stats) { return metrics(stats); };
  const DescriptorPlan plan = plan_for_descriptors(descriptors_max_, node_.host().workers());
  http_connections_max_ = plan.http_connections_max;
  std::vector<env::Executor*> executors;
  std::vector<service::Service*> services;
  for (uint32_t i = 0; i < node_.host().workers(); ++i) {
    executors.push_back(&node_.host().executor(i));
    context_.read_slices.push_back(std::make_unique<service::ReadSlices>(node_.host().executor(i)));
    services_.push_back(std::make_unique<service::NodeService>(context_, node_.host().executor(i)));
    services.push_back(services_.back().get());
  }
  rest::RestOptions options;
  options.listen = options_.api;
  options.redirect = options_.redirect;
  options.limits.connections_max = plan.http_connections_max;
  options.limits.probe_connections_max = plan.http_probes_max;
  if (options_.lease_reads) options.reads = service::Consistency::kLease;
  auto rest = rest::RestServer::start(options, env_, std::move(executors), std::move(services));
  if (!rest) return rest.status();
  rest_ = std::move(*rest);
  return Status::ok();
}

std::string ServerImpl::metrics(const host::HostStats& stats) const {
  MetricsInput input;
  input.node = options_.id;
  input.host = stats;
  input.engine = kv_->stats();
  input.cold_reads = cold_reads_->count();
  input.uptime_ns = env_.clock().now() - context_.started;
  input.http_connections_max = http_connections_max_;
  input.log_lines_lost = log_lines_lost();
  return render_metrics(input);
}

void ServerImpl::on_ready() {
  context_.ready = true;
  const int64_t took_ms = (env_.clock().now() - context_.started) / env::kMillisecond;
  log_event(Severity::kInfo, "ready",
            {{"node", to_string(options_.id)}, {"after_ms", std::to_string(took_ms)}});
  env::notify_service_manager("READY=1");
}

void ServerImpl::drain() {
  struct Waiting {
    Mutex mutex;
    Condition changed;
    bool drained MR_GUARDED_BY(mutex) = false;
  };
  auto waiting = std::make_shared<Waiting>();
  node_.host().drain(kDrainTimeoutNs, node_.host().executor(0), [waiting] {
    MutexLock lock(waiting->mutex);
    waiting->drained = true;
    waiting->changed.notify_one();
  });
  MutexLock lock(waiting->mutex);
  while (!waiting->drained) waiting->changed.wait(waiting->mutex);
}

void ServerImpl::stop() {
  if (stopped_) return;
  stopped_ = true;
  context_.draining = true;
  if (node_.started()) {
    // Leaderships go first, so that clients find the next leader while this node still answers.
    drain();
  }
  if (rest_) {
    rest_->begin_drain();
    rest_->stop();
  }
  if (watch_) watch_->stop();
  node_.stop();
  rest_.reset();
  services_.clear();
  watch_.reset();
  node_.abandon();
  // What waited for a read holds readers, which must not outlive the engine.
  cold_reads_.reset();
  context_.cold_reads = nullptr;
  context_.read_slices.clear();
  if (kv_) (void)kv_->flush();  // Only shortens the next start: the log has what is not flushed.
  kv_.reset();
}

}  // namespace

void ShutdownRequest::request_number(int status) {
  int none = kNone;
  if (status_.compare_exchange_strong(none, status)) wake_();
}

Status give_up_replicas(const ServerOptions& options, env::Environment& env) {
  auto plan = state_dir::plan_repair(env.file_system(), options.state_dir);
  if (!plan) return plan.status();
  MR_RETURN_IF_ERROR(state_dir::apply_repair(env, *plan));
  log_event(Severity::kWarn, "replicas given up",
            {{"put_aside_in", plan->aside}, {"next", "joins as new replicas"}});
  return Status::ok();
}

Result<std::unique_ptr<Server>> Server::start(const ServerOptions& options, env::Environment& env,
                                              ShutdownRequest& shutdown_request,
                                              std::function<bool(int64_t ns)> pause) {
  auto server = std::make_unique<ServerImpl>(options, env, shutdown_request, std::move(pause));
  MR_RETURN_IF_ERROR(server->start());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace multiraft::server
