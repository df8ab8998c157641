#include "env/sim/sim_network.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>

#include "base/assert.h"
#include "base/limits.h"

namespace multiraft::env {
namespace {

/// What a stream holds in one direction before the writer waits.
constexpr uint64_t kBufferBytes = 256 * limits::kKiB;

SimExecutor& simulated(Executor& executor) {
  auto* sim = dynamic_cast<SimExecutor*>(&executor);
  MR_ASSERT_MSG(sim != nullptr, "a simulated network serves simulated executors");
  return *sim;
}

Status broken(const std::string& who) {
  return {StatusCode::kUnavailable, who + ": connection reset by the other side"};
}

}  // namespace

/// What travels: bytes, or the end of the stream, or its loss.
struct SimNetwork::Parcel {
  std::string bytes;
  bool end = false;
  bool reset = false;
};

/// One side of a connection.
struct SimNetwork::End {
  std::string host;
  uint16_t port = 0;
  SimExecutor* executor = nullptr;
  bool open = true;  ///< Somebody holds the stream.
  // Arrived for this side.
  std::deque<std::string> inbox;
  size_t inbox_offset = 0;  ///< Of the first piece, already read.
  bool ended = false;
  bool reset = false;
  // Under way from this side.
  std::deque<Parcel> sent;
  MonotonicTime last_arrival;
  uint64_t unread_bytes = 0;  ///< Written here, not read there.
  bool finished = false;      ///< Nothing more will be sent.
  // What waits.
  std::span<char> read_buffer;
  Callback<void(Result<size_t>)> read_done;
  Callback<void(Status)> write_done;
};

struct SimNetwork::Connection {
  End ends[2];
  bool closed() const { return !ends[0].open && !ends[1].open; }
  /// Whether what the executor has yet to run is still wanted: counts moves and closings.
  uint64_t era[2] = {0, 0};
};

struct SimNetwork::Accepting {
  SimExecutor* executor = nullptr;
  Callback<void(std::unique_ptr<Stream>)> on_accept;
  bool open = true;
};

class SimNetwork::StreamImpl final : public Stream {
 public:
  StreamImpl(SimNetwork& network, std::shared_ptr<Connection> connection, size_t side)
      : network_(network), connection_(std::move(connection)), side_(side) {}
  ~StreamImpl() override { close(); }

  void read_some(std::span<char> buffer, Callback<void(Result<size_t>)> done) override {
    MR_ASSERT(connection_ && !end().read_done && !buffer.empty());
    end().read_buffer = buffer;
    end().read_done = std::move(done);
    network_.serve_reader(connection_, side_);
  }

  void write(std::span<const std::string_view> parts, Callback<void(Status)> done) override {
    MR_ASSERT(connection_ && !end().write_done && !end().finished);
    Parcel parcel;
    for (std::string_view part : parts) parcel.bytes += part;
    end().write_done = std::move(done);
    end().unread_bytes += parcel.bytes.size();
    if (!parcel.bytes.empty()) network_.send(connection_, side_, std::move(parcel));
    network_.serve_writer(connection_, side_);
  }

  void shutdown_write() override {
    if (!connection_ || end().finished) return;
    end().finished = true;
    network_.send(connection_, side_, {{}, true, false});
  }

  void close() override {
    if (!connection_) return;
    const std::shared_ptr<Connection> connection = std::exchange(connection_, nullptr);
    network_.close(connection, side_, false);
  }

  std::string local_address() const override { return name(side_); }
  std::string remote_address() const override { return name(1 - side_); }

  void move_to(Executor& other, Callback<void(std::unique_ptr<Stream>)> ready) override {
    MR_ASSERT(connection_ && !end().read_done && !end().write_done);
    end().executor = &simulated(other);
    ++connection_->era[side_];
    auto moved = std::make_unique<StreamImpl>(network_, std::exchange(connection_, nullptr), side_);
    other.post([moved = std::move(moved), ready = std::move(ready)]() mutable {
      ready(std::move(moved));
    });
  }

 private:
  End& end() { return connection_->ends[side_]; }
  std::string name(size_t side) const {
    if (!connection_) return "closed";
    const End& end = connection_->ends[side];
    return end.host + ":" + std::to_string(end.port);
  }

  SimNetwork& network_;
  std::shared_ptr<Connection> connection_;
  const size_t side_;
};

class SimNetwork::ListenerImpl final : public Listener {
 public:
  ListenerImpl(SimNetwork& network, Place place, std::shared_ptr<Accepting> accepting)
      : network_(network), place_(std::move(place)), accepting_(std::move(accepting)) {}
  ~ListenerImpl() override { close(); }
  uint16_t port() const override { return place_.second; }
  void close() override {
    if (!std::exchange(accepting_->open, false)) return;
    network_.listeners_.erase(place_);
  }

 private:
  SimNetwork& network_;
  const Place place_;
  const std::shared_ptr<Accepting> accepting_;
};

class SimNetwork::Port final : public SimNetworkPort {
 public:
  Port(SimNetwork& network, std::string host) : network_(network), host_(std::move(host)) {}

  Result<std::unique_ptr<Listener>> listen(
      Executor& executor, const Address& address,
      Callback<void(std::unique_ptr<Stream>)> on_accept) override {
    Place place{address.host.empty() ? host_ : address.host, address.port};
    if (place.second == 0) place.second = network_.next_port_++;
    if (network_.listeners_.contains(place)) {
      return Status(StatusCode::kUnavailable,
                    "listen on " + address.to_string() + ": address in use");
    }
    auto accepting = std::make_shared<Accepting>();
    accepting->executor = &simulated(executor);
    accepting->on_accept = std::move(on_accept);
    network_.listeners_[place] = accepting;
    return std::unique_ptr<Listener>(
        std::make_unique<ListenerImpl>(network_, place, std::move(accepting)));
  }

  void connect(Executor& executor, const Address& address, int64_t timeout_ns,
               Callback<void(Result<std::unique_ptr<Stream>>)> done) override {
    network_.connect(host_, simulated(executor), address, timeout_ns, std::move(done));
  }

  void kill() override { network_.kill(host_); }

 private:
  SimNetwork& network_;
  const std::string host_;
};

SimNetwork::SimNetwork(SimScheduler& scheduler, uint64_t seed)
    : scheduler_(scheduler),
      random_(seed),
      world_(scheduler, "network", false, std::make_shared<std::vector<SimExecutor*>>()) {}

SimNetwork::~SimNetwork() { world_.halt(); }

std::unique_ptr<SimNetworkPort> SimNetwork::attach(const std::string& host) {
  return std::make_unique<Port>(*this, host);
}

void SimNetwork::set_delay(const std::string& from, const std::string& to, SimDelay delay) {
  delays_[{from, to}] = delay;
}

void SimNetwork::set_cut(const std::string& from, const std::string& to, bool cut) {
  if (cut) {
    cut_.insert({from, to});
    return;
  }
  if (cut_.erase({from, to}) == 0) return;
  for (const auto& connection : connections_) {
    for (size_t side = 0; side < 2; ++side) {
      if (connection->ends[side].host != from || connection->ends[1 - side].host != to) continue;
      // What waited is sent again, all at once and in order.
      const size_t waiting = connection->ends[side].sent.size();
      for (size_t i = 0; i < waiting; ++i) {
        world_.schedule(now() + draw_delay({from, to}),
                        [this, connection, side] { arrive(connection, side); });
      }
    }
  }
}

void SimNetwork::mend_all() {
  const std::set<Link> cut = cut_;
  for (const auto& [from, to] : cut) set_cut(from, to, false);
}

void SimNetwork::break_connections(const std::string& a, const std::string& b) {
  const auto connections = connections_;
  for (const auto& connection : connections) {
    const bool between = (connection->ends[0].host == a && connection->ends[1].host == b) ||
                         (connection->ends[0].host == b && connection->ends[1].host == a);
    if (!between) continue;
    for (size_t side = 0; side < 2; ++side) {
      End& end = connection->ends[side];
      end.sent.clear();
      end.reset = true;
    }
    for (size_t side = 0; side < 2; ++side) {
      serve_reader(connection, side);
      serve_writer(connection, side);
    }
  }
}

int64_t SimNetwork::draw_delay(const Link& link) {
  const auto found = delays_.find(link);
  const SimDelay& delay = found == delays_.end() ? default_delay_ : found->second;
  return static_cast<int64_t>(
      random_.between(static_cast<uint64_t>(delay.min_ns), static_cast<uint64_t>(delay.max_ns)));
}

void SimNetwork::send(const std::shared_ptr<Connection>& connection, size_t from, Parcel parcel) {
  End& end = connection->ends[from];
  if (end.reset) return;
  end.sent.push_back(std::move(parcel));
  const MonotonicTime arrival =
      std::max(now() + draw_delay({end.host, connection->ends[1 - from].host}), end.last_arrival);
  end.last_arrival = arrival;
  world_.schedule(arrival, [this, connection, from] { arrive(connection, from); });
}

/// The oldest parcel under way reaches the other side, unless the link is cut: then it waits.
void SimNetwork::arrive(const std::shared_ptr<Connection>& connection, size_t from) {
  End& sender = connection->ends[from];
  End& receiver = connection->ends[1 - from];
  if (sender.sent.empty() || cut_.contains({sender.host, receiver.host})) return;
  Parcel parcel = std::move(sender.sent.front());
  sender.sent.pop_front();
  if (!receiver.open) {
    // Nobody reads here any more: the sender is told.
    if (sender.open && !parcel.bytes.empty()) send(connection, 1 - from, {{}, false, true});
    return;
  }
  bytes_delivered_ += parcel.bytes.size();
  if (parcel.reset) receiver.reset = true;
  if (parcel.end) receiver.ended = true;
  if (!parcel.bytes.empty()) receiver.inbox.push_back(std::move(parcel.bytes));
  serve_reader(connection, 1 - from);
  serve_writer(connection, 1 - from);
}

void SimNetwork::serve_reader(const std::shared_ptr<Connection>& connection, size_t side) {
  End& end = connection->ends[side];
  if (!end.read_done) return;
  if (end.inbox.empty() && !end.ended && !end.reset) return;
  // The completion is a task of its own, as that of a poller.
  end.executor->post([this, connection, side, era = connection->era[side]] {
    End& self = connection->ends[side];
    if (era != connection->era[side] || !self.read_done) return;
    Result<size_t> result = size_t{0};
    if (!self.inbox.empty()) {
      std::string& piece = self.inbox.front();
      const size_t n = std::min(self.read_buffer.size(), piece.size() - self.inbox_offset);
      std::memcpy(self.read_buffer.data(), piece.data() + self.inbox_offset, n);
      self.inbox_offset += n;
      if (self.inbox_offset == piece.size()) {
        self.inbox.pop_front();
        self.inbox_offset = 0;
      }
      result = n;
      connection->ends[1 - side].unread_bytes -= n;
      serve_writer(connection, 1 - side);
    } else if (self.reset) {
      result = broken(self.host);
    } else if (!self.ended) {
      return;
    }
    Callback<void(Result<size_t>)> done = std::exchange(self.read_done, nullptr);
    done(std::move(result));
  });
}

void SimNetwork::serve_writer(const std::shared_ptr<Connection>& connection, size_t side) {
  End& end = connection->ends[side];
  if (!end.write_done) return;
  if (end.unread_bytes > kBufferBytes && !end.reset) return;
  end.executor->post([connection, side, era = connection->era[side]] {
    End& self = connection->ends[side];
    if (era != connection->era[side] || !self.write_done) return;
    Callback<void(Status)> done = std::exchange(self.write_done, nullptr);
    done(self.reset ? broken(self.host) : Status::ok());
  });
}

void SimNetwork::close(const std::shared_ptr<Connection>& connection, size_t side, bool reset) {
  End& end = connection->ends[side];
  if (!std::exchange(end.open, false)) return;
  ++connection->era[side];
  // Destroyed last: they may own the stream's owner.
  const Callback<void(Result<size_t>)> read_done = std::exchange(end.read_done, nullptr);
  const Callback<void(Status)> write_done = std::exchange(end.write_done, nullptr);
  end.executor = nullptr;
  end.inbox.clear();
  if (reset || !end.finished) {
    end.finished = true;
    send(connection, side, {{}, !reset, reset});
  }
  forget_closed();
}

void SimNetwork::forget_closed() {
  std::erase_if(connections_, [](const auto& connection) { return connection->closed(); });
}

void SimNetwork::connect(const std::string& from, SimExecutor& executor, const Address& address,
                         int64_t timeout_ns, Callback<void(Result<std::unique_ptr<Stream>>)> done) {
  const std::string to = address.host.empty() ? from : address.host;
  const Link there{from, to};
  const Link back{to, from};
  auto answer = [&executor,
                 done = std::move(done)](Result<std::unique_ptr<Stream>> result) mutable {
    executor.post([done = std::move(done), result = std::move(result)]() mutable {
      done(std::move(result));
    });
  };
  // A timer of the caller's, so that it ends with the caller.
  const int64_t round_trip = draw_delay(there) + draw_delay(back);
  const bool times_out = cut_.contains(there) || cut_.contains(back) || round_trip > timeout_ns;
  executor.schedule(
      now() + (times_out ? timeout_ns : round_trip),
      [this, times_out, from, to, address, &executor, answer = std::move(answer)]() mutable {
        const auto found = listeners_.find({to, address.port});
        if (times_out || cut_.contains({from, to}) || found == listeners_.end()) {
          answer(Status(StatusCode::kUnavailable,
                        "connect to " + address.to_string() +
                            (found == listeners_.end() ? ": connection refused" : ": timed out")));
          return;
        }
        auto connection = std::make_shared<Connection>();
        connection->ends[0].host = from;
        connection->ends[0].port = next_port_++;
        connection->ends[0].executor = &executor;
        connection->ends[1].host = to;
        connection->ends[1].port = address.port;
        connection->ends[1].executor = found->second->executor;
        connections_.push_back(connection);
        ++connections_made_;
        auto accepted = std::make_unique<StreamImpl>(*this, connection, 1);
        found->second->executor->post(
            [accepting = found->second, accepted = std::move(accepted)]() mutable {
              if (accepting->open) accepting->on_accept(std::move(accepted));
            });
        answer(std::unique_ptr<Stream>(std::make_unique<StreamImpl>(*this, connection, 0)));
      });
}

void SimNetwork::kill(const std::string& host) {
  for (auto it = listeners_.begin(); it != listeners_.end();) {
    if (it->first.first != host) {
      ++it;
      continue;
    }
    const std::shared_ptr<Accepting> gone = it->second;
    gone->open = false;
    it = listeners_.erase(it);
    gone->on_accept = nullptr;
  }
  const auto connections = connections_;
  for (const auto& connection : connections) {
    for (size_t side = 0; side < 2; ++side) {
      if (connection->ends[side].host == host) close(connection, side, true);
    }
  }
}

}  // namespace multiraft::env
