#include "transport/connection/acceptor.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/coverage.h"
#include "transport/connection/lingering_close.h"

namespace multiraft::transport {
namespace {

constexpr size_t kBufferBytes = 4 * limits::kKiB;
/// A refused guest may still be sending.
constexpr size_t kDiscardBytesMax = 256 * limits::kKiB;
constexpr size_t kIncarnationsRemembered = 8;
/// Beyond it, nodes are not remembered: a second one with the same id goes unnoticed.
constexpr size_t kNodesRemembered = 16'384;
/// Strangers must not fill the log.
constexpr int64_t kReportIntervalNs = env::kSecond;
constexpr int64_t kUnknownReportIntervalNs = 100 * env::kMillisecond;

std::string name(NodeId node) { return "node " + to_string(node); }

}  // namespace

// -- IncarnationTable.

Status IncarnationTable::judge(uint16_t version, const wire::Hello& hello,
                               const Context& context) const {
  const NodeId self = context.self();
  const ClusterId cluster = context.cluster();
  if (version != wire::kProtocolVersion || hello.version_min > wire::kProtocolVersion ||
      hello.version_max < wire::kProtocolVersion) {
    const uint16_t theirs = version != wire::kProtocolVersion            ? version
                            : hello.version_min > wire::kProtocolVersion ? hello.version_min
                                                                         : hello.version_max;
    return {StatusCode::kInvalidArgument, name(self) + " speaks protocol version " +
                                              std::to_string(wire::kProtocolVersion) + ", not " +
                                              std::to_string(theirs)};
  }
  if (hello.workers > wire::kWorkersMax) {
    return {StatusCode::kInvalidArgument,
            "a node has at most " + std::to_string(wire::kWorkersMax) + " workers"};
  }
  if (hello.node.value == 0 || hello.node.value > limits::kNodeIdMax) {
    return {StatusCode::kInvalidArgument, to_string(hello.node) + " is no node id"};
  }
  if (hello.node == self) {
    if (hello.incarnation == context.options.identity.incarnation) {
      return {StatusCode::kConflict, std::string(kLeadsBack) + " to " + name(self) +
                                         " itself; check which raft address each node advertises"};
    }
    return {StatusCode::kConflict, "the id " + to_string(self) + " is taken by this node"};
  }
  if (hello.to && hello.to != self) {
    return {StatusCode::kConflict, "this is " + name(self) + ", not " + name(hello.to)};
  }
  if (hello.kind == wire::ConnectionKind::kSnapshot && !context.options.snapshot_receiver) {
    return {StatusCode::kInvalidArgument, name(self) + " takes no snapshots"};
  }
  const bool newcomer = hello.kind == wire::ConnectionKind::kCall && !hello.cluster;
  if (!cluster) {
    return {StatusCode::kUnavailable, name(self) + " is not a member of a cluster yet"};
  }
  if (newcomer) return Status::ok();
  if (hello.cluster != cluster) {
    return {StatusCode::kConflict,
            name(self) + " " + std::string(kOtherCluster) + " than " + name(hello.node)};
  }
  // Calls carry nothing of Raft. Who was removed may ask about it, or ask to join again.
  if (hello.kind == wire::ConnectionKind::kCall) return Status::ok();
  if (forgotten_.contains(hello.node.value)) {
    return {StatusCode::kNotFound, name(hello.node) + " was removed from the cluster"};
  }
  if (!knows(hello)) {
    MR_COVERAGE("node that is not registered refused");
    return {StatusCode::kUnavailable, name(hello.node) + " with this state directory is not " +
                                          "registered in the cluster, as far as " + name(self) +
                                          " knows"};
  }
  const auto found = known_.find(hello.node.value);
  if (found != known_.end() && std::count(found->second.earlier.begin(),
                                          found->second.earlier.end(), hello.incarnation) > 0) {
    return {StatusCode::kConflict, "another process with the id " + to_string(hello.node) +
                                       " has connected since: two nodes have the same id"};
  }
  return Status::ok();
}

void IncarnationTable::forget(NodeId node) {
  forgotten_.insert(node.value);
  members_.erase(node.value);
}

void IncarnationTable::remember(NodeId node, const StateDirId& state) {
  forgotten_.erase(node.value);
  members_[node.value].state = state;
}

bool IncarnationTable::knows(const wire::Hello& hello) const {
  const auto found = members_.find(hello.node.value);
  if (found == members_.end()) return false;
  return found->second.state.empty() || found->second.state == hello.state;
}

bool IncarnationTable::is_news(NodeId node, const std::string& raft_address) {
  const auto found = members_.find(node.value);
  if (found == members_.end() || found->second.raft_address == raft_address) return false;
  found->second.raft_address = raft_address;
  return true;
}

void IncarnationTable::note(const wire::Hello& hello) {
  // Who calls need not be a member: anybody may claim any id.
  if (hello.kind == wire::ConnectionKind::kCall) return;
  if (known_.size() >= kNodesRemembered && !known_.contains(hello.node.value)) return;
  const auto [entry, is_new] = known_.try_emplace(hello.node.value);
  Known& known = entry->second;
  if (!is_new && known.incarnation != hello.incarnation) {
    known.earlier.push_back(known.incarnation);
    if (known.earlier.size() > kIncarnationsRemembered) known.earlier.erase(known.earlier.begin());
  }
  known.incarnation = hello.incarnation;
}

// -- Guest.

/// Somebody at the door: from accept to the handover or the refusal.
class Acceptor::PendingHandshake final : public FrameReader::Handler,
                                         public std::enable_shared_from_this<PendingHandshake> {
 public:
  PendingHandshake(Acceptor& acceptor, std::unique_ptr<env::Stream> stream)
      : source(source_of(stream->remote_address())),
        acceptor_(acceptor),
        stream_(std::move(stream)),
        reader_(*stream_, *this, kBufferBytes, wire::payload_bytes_max(wire::FrameKind::kHello)),
        writer_(*stream_),
        timer_(*acceptor.context_->options.workers[0]),
        lingering_close_(*stream_, writer_, kDiscardBytesMax) {}

  void start() {
    set_timer();
    writer_.start(weak_from_this());
    reader_.start(weak_from_this());
  }

  void close() {
    timer_.cancel();
    if (stream_) stream_->close();
  }

  void leave() {
    close();
    acceptor_.gone(*this);
  }

  std::string remote_address() const { return stream_ ? stream_->remote_address() : ""; }

  const std::string source;                      ///< Where it comes from, without the port.
  std::list<PendingHandshake*>::iterator place;  ///< In the order of arrival.

  bool on_frame(const wire::FrameHeader& header, SharedBytes payload) override {
    if (answered_) return false;
    wire::Hello hello;
    Status verdict = judge(header, payload, hello);
    if (!verdict) {
      acceptor_.unknown(hello, stream_->remote_address());
      refuse(verdict, hello.cluster);
      return false;
    }
    acceptor_.book_.note(hello);
    if (hello.kind != wire::ConnectionKind::kCall && acceptor_.context_->boots.note(hello)) {
      acceptor_.context_->boots_changed();
    }
    acceptor_.heard(hello);
    answered_ = true;
    writer_.send(wire::encode(acceptor_.context_->reply(Status::ok(), hello.cluster)));
    writer_.when_idle([weak = weak_from_this(), hello] {
      if (const auto self = weak.lock()) self->admitted(hello);
    });
    return false;
  }

  void on_end(const Status& status) override {
    if (status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kIoError) {
      if (reader_.bytes_read() > 0) acceptor_.refused(status, stream_->remote_address());
      leave();
      return;
    }
    if (answered_) return;
    acceptor_.context_->worker_counters[0].frames_rejected.add();
    refuse(status, {});
  }

 private:
  Status judge(const wire::FrameHeader& header, std::string_view payload, wire::Hello& hello) {
    if (header.kind != wire::FrameKind::kHello) {
      return {StatusCode::kInvalidArgument, "a connection begins with a hello"};
    }
    // In another version there may be more in it than we know.
    if (header.version == wire::kProtocolVersion) {
      MR_RETURN_IF_ERROR(wire::decode(payload, hello));
      if (reader_.unread_bytes() > 0) {
        return {StatusCode::kInvalidArgument, "nothing may be sent before the hello is answered"};
      }
    }
    MR_RETURN_IF_ERROR(acceptor_.book_.judge(header.version, hello, *acceptor_.context_));
    // Calls carry no promises, and are how an older node finds out what it can do.
    if (hello.kind == wire::ConnectionKind::kCall) return Status::ok();
    return acceptor_.context_->boots.judge(hello, known_);
  }

  void refuse(const Status& verdict, ClusterId theirs) {
    answered_ = true;
    acceptor_.refused(verdict, stream_->remote_address());
    writer_.send(wire::encode(acceptor_.context_->reply(verdict, theirs, known_)));
    lingering_close_.begin(weak_from_this(), [this] { leave(); });
  }

  void admitted(const wire::Hello& hello) {
    timer_.cancel();
    const auto self = shared_from_this();
    Acceptor& acceptor = acceptor_;
    std::unique_ptr<env::Stream> stream = std::move(stream_);
    acceptor.gone(*this);
    acceptor.admit_(hello, std::move(stream));
  }

  void timed_out() {
    timer_.fired();
    if (answered_) return leave();
    MR_COVERAGE("slow handshake");
    answered_ = true;
    const Status verdict(StatusCode::kUnavailable, "no hello in time");
    acceptor_.refused(verdict, stream_->remote_address());
    // A read is under way, so this cannot wait for the other side; but it has sent nothing that a
    // close would lose.
    writer_.send(wire::encode(acceptor_.context_->reply(verdict, {})));
    writer_.when_idle([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->leave();
    });
    set_timer();
  }

  void set_timer() {
    timer_.set(acceptor_.context_->now() + acceptor_.context_->options.handshake_timeout_ns,
               [weak = weak_from_this()] {
                 if (const auto self = weak.lock()) self->timed_out();
               });
  }

  Acceptor& acceptor_;
  std::unique_ptr<env::Stream> stream_;
  FrameReader reader_;
  FrameWriter writer_;
  Timer timer_;
  LingeringClose lingering_close_;
  wire::BootRecord known_;  ///< What speaks against the guest, if it is that.
  bool answered_ = false;   ///< Accepted, refused, or refused as too late.
};

// -- Acceptor.

Acceptor::Acceptor(std::shared_ptr<Context> context, Admit admit)
    : context_(std::move(context)),
      admit_(std::move(admit)),
      guests_by_source_(context_->strangers_per_source_max()),
      places_(std::make_shared<ConnectionPlaces>(context_->options.connections_max)) {}

Acceptor::~Acceptor() = default;

Status Acceptor::listen() {
  auto listener = context_->env.network().listen(
      *context_->options.workers[0], context_->options.listen,
      [weak = weak_from_this()](std::unique_ptr<env::Stream> stream) {
        if (const auto self = weak.lock()) self->accepted(std::move(stream));
      });
  if (!listener) return listener.status();
  listener_ = std::move(*listener);
  return Status::ok();
}

void Acceptor::accepted(std::unique_ptr<env::Stream> stream) {
  if (closed_) return;
  // A hello takes a round trip. Whoever has been silent for longest makes room for the next: so
  // silent connections, however many, lock nobody out. Those of one address make room for each
  // other.
  const std::string source(source_of(stream->remote_address()));
  if (guests_by_source_.full(source)) {
    MR_COVERAGE("too many guests of one address");
    turn_away(*oldest(source),
              "too many connections of one address that have not said who they are");
  }
  if (guests_.size() >= context_->options.handshakes_max) {
    MR_COVERAGE("too many guests");
    turn_away(*oldest({}), "too many connections that have not said who they are");
  }
  if (places_->full() && !guests_.empty()) {
    MR_COVERAGE("too many connections: a guest makes room");
    turn_away(*oldest({}), "too many connections");
  }
  if (places_->full()) {
    MR_COVERAGE("too many connections");
    refused({StatusCode::kOverloaded, "too many connections to the raft port"},
            stream->remote_address());
    return;
  }
  auto guest = std::make_shared<PendingHandshake>(*this, places_->count(std::move(stream)));
  guests_.emplace(guest.get(), guest);
  guest->place = guests_in_order_.insert(guests_in_order_.end(), guest.get());
  guests_by_source_.add(guest->source);
  guest->start();
}

Acceptor::PendingHandshake* Acceptor::oldest(std::string_view source) const {
  const auto found = std::find_if(
      guests_in_order_.begin(), guests_in_order_.end(),
      [&](const PendingHandshake* guest) { return source.empty() || guest->source == source; });
  MR_ASSERT(found != guests_in_order_.end());
  return *found;
}

void Acceptor::turn_away(PendingHandshake& guest, std::string_view why) {
  refused({StatusCode::kOverloaded, std::string(why)}, guest.remote_address());
  const std::shared_ptr<PendingHandshake> held = guests_.at(&guest);
  held->leave();
}

void Acceptor::gone(PendingHandshake& guest) {
  if (!guests_.contains(&guest)) return;
  guests_by_source_.remove(guest.source);
  guests_in_order_.erase(guest.place);
  guests_.erase(&guest);
}

void Acceptor::refused(const Status& why, const std::string& whom) {
  context_->worker_counters[0].connections_refused.add();
  const env::MonotonicTime now = context_->now();
  if (now - reported_at_ < kReportIntervalNs) return;
  reported_at_ = now;
  context_->problem({why.code(), "refused " + whom + ": " + why.message()});
}

/// A refused hello may still tell something: whoever takes this node for a member of its cluster,
/// or is a member of ours that we have not heard of.
void Acceptor::unknown(const wire::Hello& hello, const std::string& remote_address) {
  if (!context_->options.on_unknown_caller || hello.kind == wire::ConnectionKind::kCall) return;
  if (!hello.cluster || hello.to != context_->self() || hello.node == context_->self()) return;
  const ClusterId cluster = context_->cluster();
  if (!cluster) return;
  const bool other_cluster = hello.cluster != cluster;
  if (!other_cluster && book_.knows(hello)) return;
  const env::MonotonicTime now = context_->now();
  if (now - unknown_reported_at_ < kUnknownReportIntervalNs) return;
  unknown_reported_at_ = now;
  context_->options.on_unknown_caller({hello.node, remote_address, other_cluster});
}

void Acceptor::heard(const wire::Hello& hello) {
  if (hello.kind == wire::ConnectionKind::kCall || hello.raft_address.empty()) return;
  if (!context_->options.on_address || !book_.is_news(hello.node, hello.raft_address)) return;
  // What cannot be parsed is of no use, and was sent by a newer version if by anybody.
  const auto address = env::Address::parse(hello.raft_address);
  if (address) context_->options.on_address(hello.node, *address);
}

void Acceptor::close() {
  closed_ = true;
  if (listener_) listener_->close();
  guests_in_order_.clear();
  for (auto& [guest, held] : std::exchange(guests_, {})) held->close();
}

}  // namespace multiraft::transport
