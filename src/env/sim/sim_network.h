#pragma once
// A network between simulated machines: streams of bytes with delays, links that are cut in either
// direction, and connections that break. Deterministic from a seed.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.h"
#include "env/sim/sim_environment.h"

namespace multiraft::env {

/// How long bytes are under way.
struct SimDelay {
  int64_t min_ns = 50 * kMicrosecond;
  int64_t max_ns = 200 * kMicrosecond;
};

/// The model:
/// - A machine is a host name; processes on it listen on ports. An address whose host is empty
///   means the machine itself.
/// - Within one stream bytes arrive in order, in the pieces they were written in; pieces of two
///   streams overtake each other as their delays say.
/// - A cut link delivers nothing in its direction, and keeps what is under way until it is mended,
///   as TCP does: connections survive. A new connection needs both directions and times out.
/// - A write is done when the bytes fit into the buffers; a receiver that does not read stops the
///   writer.
/// - The end of a process resets its connections: the other side's reads and writes fail, after
///   what was under way has arrived. Across a cut link it learns nothing until the link is mended.
///
/// Outlives the environments that have its ports. Belongs to the scheduler's thread.
class SimNetwork {
 public:
  SimNetwork(SimScheduler& scheduler, uint64_t seed);
  ~SimNetwork();
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  /// The port of a machine, for its environment. One at a time a host.
  std::unique_ptr<SimNetworkPort> attach(const std::string& host);

  void set_delay(SimDelay delay) { default_delay_ = delay; }
  /// Of one direction of one pair of machines, from now on.
  void set_delay(const std::string& from, const std::string& to, SimDelay delay);
  /// One direction.
  void set_cut(const std::string& from, const std::string& to, bool cut);
  void mend_all();
  /// Resets every connection between the two.
  void break_connections(const std::string& a, const std::string& b);
  uint64_t bytes_delivered() const { return bytes_delivered_; }
  uint64_t connections_made() const { return connections_made_; }

 private:
  class Port;
  class StreamImpl;
  class ListenerImpl;
  struct Connection;
  struct End;
  struct Accepting;
  struct Parcel;
  using Link = std::pair<std::string, std::string>;
  using Place = std::pair<std::string, uint16_t>;

  MonotonicTime now() const { return scheduler_.clock().now(); }
  int64_t draw_delay(const Link& link);
  void send(const std::shared_ptr<Connection>& connection, size_t from, Parcel parcel);
  void arrive(const std::shared_ptr<Connection>& connection, size_t from);
  void close(const std::shared_ptr<Connection>& connection, size_t side, bool reset);
  void serve_reader(const std::shared_ptr<Connection>& connection, size_t side);
  void serve_writer(const std::shared_ptr<Connection>& connection, size_t side);
  void connect(const std::string& from, SimExecutor& executor, const Address& address,
               int64_t timeout_ns, Callback<void(Result<std::unique_ptr<Stream>>)> done);
  void kill(const std::string& host);
  void forget_closed();

  SimScheduler& scheduler_;
  Prng random_;
  SimExecutor world_;  ///< Whose timers are arrivals.
  SimDelay default_delay_;
  std::map<Link, SimDelay> delays_;
  std::set<Link> cut_;
  std::map<Place, std::shared_ptr<Accepting>> listeners_;
  std::vector<std::shared_ptr<Connection>> connections_;
  uint16_t next_port_ = 40'000;
  uint64_t bytes_delivered_ = 0;
  uint64_t connections_made_ = 0;
};

}  // namespace multiraft::env
