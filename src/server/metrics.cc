#include "server/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <vector>

#include "env/posix/process.h"

namespace multiraft::server {
namespace {

class Families {
 public:
  void counter(const char* name, const char* help, double value) {
    prometheus::ClientMetric metric;
    metric.counter.value = value;
    add(name, help, prometheus::MetricType::Counter, std::move(metric));
  }
  void gauge(const char* name, const char* help, double value) {
    prometheus::ClientMetric metric;
    metric.gauge.value = value;
    add(name, help, prometheus::MetricType::Gauge, std::move(metric));
  }
  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  void add(const char* name, const char* help, prometheus::MetricType type,
           prometheus::ClientMetric metric) {
    prometheus::MetricFamily family;
    family.name = name;
    family.help = help;
    family.type = type;
    family.metric.push_back(std::move(metric));
    families_.push_back(std::move(family));
  }
  std::vector<prometheus::MetricFamily> families_;
};

double number(uint64_t value) { return static_cast<double>(value); }
double seconds(int64_t ns) { return static_cast<double>(ns) / 1e9; }

void add_groups(const host::HostStats& h, Families& f) {
  f.gauge("multiraft_groups", "Replicas hosted by this node", number(h.groups));
  f.gauge("multiraft_groups_led", "Groups that this node leads", number(h.groups_led));
  f.gauge("multiraft_groups_unfilled",
          "Hosted groups whose replica here waits for its first snapshot",
          number(h.groups_unfilled));
  f.gauge("multiraft_groups_without_leader", "Hosted groups that know no leader",
          number(h.groups_without_leader));
  f.counter("multiraft_turns_total", "Turns of the workers", number(h.turns));
  f.counter("multiraft_groups_visited_total", "Groups visited by turns", number(h.groups_visited));
  f.gauge("multiraft_worker_pause_seconds_max",
          "Longest time for which a worker did nothing else since the start",
          seconds(h.worker_pause_ns_max));
  f.counter("multiraft_entries_applied_total", "Log entries applied", number(h.entries_applied));
  f.counter("multiraft_writes_total", "Writes taken from clients and other nodes",
            number(h.writes));
  f.counter("multiraft_reads_total", "Reads taken from clients", number(h.reads));
  f.counter("multiraft_writes_forwarded_total", "Writes passed on to leaders elsewhere",
            number(h.writes_forwarded));
  f.gauge("multiraft_replicas_stopped",
          "Replicas that take no further part (see the log, or stopped in /v1/groups/{g})",
          number(h.replicas_stopped));
  f.gauge("multiraft_replicas_to_upgrade",
          "Of these: stopped at a command of a newer version, until this node is upgraded",
          number(h.replicas_to_upgrade));
  f.counter("multiraft_stray_messages_total", "Messages for replicas that are not here",
            number(h.stray_messages));
  f.counter("multiraft_entry_checksum_failures_total",
            "Entries and commands from nodes that had changed in some memory on their way",
            number(h.checksum_failures));
  f.counter("multiraft_snapshots_sent_total", "Snapshots sent", number(h.snapshots_sent));
  f.counter("multiraft_snapshots_installed_total", "Snapshots installed",
            number(h.snapshots_installed));
}

void add_disk(const host::HostStats& h, Families& f) {
  f.gauge("multiraft_disk_free_bytes", "Free bytes on the disk of the state directory",
          number(h.disk_free_bytes));
  f.gauge("multiraft_disk_state", "0 ok, 1 low: growing writes are refused, 2 critical",
          number(static_cast<uint64_t>(h.disk_state)));
  f.counter("multiraft_disk_stalls_total", "Writes of the log that hung for an election timeout",
            number(h.disk_stalls));
  f.gauge("multiraft_disk_stalled_seconds",
          "How long a write of the log has been hanging; 0 while none does",
          seconds(h.disk_stalled_ns));
  if (h.disk_free_files) {
    f.gauge("multiraft_disk_free_files", "Files (inodes) that can still be created there",
            number(*h.disk_free_files));
  }
  f.counter("multiraft_engine_stalled_total",
            "Times that the engine took no batch for an election timeout", number(h.engine_stalls));
  f.gauge("multiraft_engine_stalled_seconds",
          "How long the engine has been taking no batch; 0 while it is not stalled",
          seconds(h.engine_stalled_ns));
  f.gauge("multiraft_log_waits_for_room", "1 while there is no room for the log's next segment",
          h.log.no_space ? 1 : 0);
}

void add_log(const log::LogStats& l, Families& f) {
  f.counter("multiraft_log_batches_total", "Batches written to the log", number(l.batches));
  f.counter("multiraft_log_records_total", "Records written to the log", number(l.records));
  f.counter("multiraft_log_bytes_total", "Bytes written to the log", number(l.bytes_written));
  f.counter("multiraft_log_syncs_total", "Synced writes of the log", number(l.syncs));
  f.counter("multiraft_log_sync_seconds_total", "Time spent in synced writes",
            seconds(l.sync_ns_total));
  f.gauge("multiraft_log_sync_seconds_max", "Longest synced write", seconds(l.sync_ns_max));
  f.gauge("multiraft_log_segments", "Segments of the log", number(l.segments));
  f.counter("multiraft_log_segments_recycled_total", "Segments used again",
            number(l.segments_recycled));
  f.counter("multiraft_log_entries_rewritten_total", "Entries moved to free a segment",
            number(l.entries_rewritten));
  f.gauge("multiraft_log_entries", "Entries kept in the logs of all groups", number(l.entries));
  f.gauge("multiraft_log_entry_bytes", "Bytes of these entries", number(l.entry_bytes));
  f.gauge("multiraft_log_cache_bytes", "Memory of the entries that are cached",
          number(l.cache_bytes));
  f.gauge("multiraft_log_index_bytes", "Memory of the index of all entries", number(l.index_bytes));
  f.counter("multiraft_log_cache_misses_total", "Entries read back from disk",
            number(l.cache_misses));
  f.gauge("multiraft_log_read_bytes", "Memory of entries read back from disk and not yet used",
          number(l.read_bytes));
  f.gauge("multiraft_log_torn_bytes", "Bytes of a torn tail cut at the last start",
          number(l.torn_bytes_cut));
}

void add_transport(const transport::TransportStats& t, Families& f) {
  f.counter("multiraft_peer_frames_sent_total", "Frames sent to nodes", number(t.frames_sent));
  f.counter("multiraft_peer_frames_received_total", "Frames received from nodes",
            number(t.frames_received));
  f.counter("multiraft_peer_bytes_sent_total", "Bytes sent to nodes", number(t.bytes_sent));
  f.counter("multiraft_peer_bytes_received_total", "Bytes received from nodes",
            number(t.bytes_received));
  f.counter("multiraft_peer_messages_sent_total", "Messages sent to nodes",
            number(t.messages_sent));
  f.counter("multiraft_peer_messages_received_total", "Messages received from nodes",
            number(t.messages_received));
  f.counter("multiraft_peer_messages_dropped_total", "Messages dropped over full queues",
            number(t.messages_dropped));
  f.counter("multiraft_peer_frames_rejected_total", "Frames that did not check",
            number(t.frames_rejected));
  f.counter("multiraft_peer_connections_refused_total", "Handshakes of strangers",
            number(t.connections_refused));
  f.gauge("multiraft_snapshots_sending", "Snapshots on their way out", number(t.snapshots_sending));
  f.gauge("multiraft_snapshots_receiving", "Snapshots on their way in",
          number(t.snapshots_receiving));
  f.counter("multiraft_snapshots_resumed_total", "Broken snapshot streams that went on",
            number(t.snapshots_resumed));
  f.counter("multiraft_snapshots_refused_total", "Snapshots refused before they were sent",
            number(t.snapshots_refused));
  f.counter("multiraft_snapshots_abandoned_total", "Snapshots that began to arrive and ended badly",
            number(t.snapshots_abandoned));
  f.counter("multiraft_snapshot_chunks_sent_total", "Chunks of snapshots sent",
            number(t.snapshot_chunks_sent));
  f.counter("multiraft_snapshot_chunks_resent_total", "Chunks sent again after a break",
            number(t.snapshot_chunks_resent));
  f.counter("multiraft_snapshot_bytes_sent_total", "Contents of snapshots sent, uncompressed",
            number(t.snapshot_bytes_sent));
  f.counter("multiraft_snapshot_bytes_received_total", "Contents of snapshots received",
            number(t.snapshot_bytes_received));
}

void add_engine(const kv::KvEngineStats& e, Families& f) {
  f.gauge("multiraft_engine_memtable_bytes", "Values in RocksDB's memtables",
          number(e.memtable_bytes));
  f.gauge("multiraft_engine_block_cache_bytes", "Blocks cached by RocksDB",
          number(e.block_cache_bytes));
  f.gauge("multiraft_engine_disk_bytes", "Table files of RocksDB", number(e.disk_bytes));
  f.counter("multiraft_engine_stalls_total", "Commits that met a write stall",
            number(e.batches_refused));
  f.gauge("multiraft_engine_level0_files", "Table files that wait to be merged into the levels",
          number(e.l0_files));
  f.gauge("multiraft_engine_keeps_up",
          "0 while compactions fall behind and leaders on this node refuse writes",
          e.keeps_up ? 1 : 0);
}

void add_process(const MetricsInput& input, Families& f) {
  const env::ProcessUsage usage = env::process_usage();
  f.gauge("multiraft_node_id", "The node's number", number(input.node.value));
  f.counter("multiraft_cold_reads_total", "Reads of clients that waited for the disk",
            number(input.cold_reads));
  f.gauge("multiraft_uptime_seconds", "Time since the process started", seconds(input.uptime_ns));
  f.counter("process_cpu_seconds_total", "CPU time of the process",
            seconds(usage.cpu_user_ns + usage.cpu_system_ns));
  f.gauge("process_resident_memory_bytes", "Resident memory", number(usage.resident_bytes));
  f.gauge("process_open_fds", "Open file descriptors", number(usage.open_files));
  f.gauge("process_max_fds", "Limit of open file descriptors", number(usage.open_files_max));
  f.gauge("multiraft_http_connections_max",
          "Client connections served at a time; more are refused, except for probes",
          number(input.http_connections_max));
  f.counter("multiraft_log_lines_lost_total",
            "Lines of this process's log dropped because nobody read them fast enough",
            number(input.log_lines_lost));
}

}  // namespace

std::string render_metrics(const MetricsInput& input) {
  Families families;
  add_process(input, families);
  add_groups(input.host, families);
  add_disk(input.host, families);
  add_log(input.host.log, families);
  add_transport(input.host.transport, families);
  add_engine(input.engine, families);
  return families.text();
}

}  // namespace multiraft::server
