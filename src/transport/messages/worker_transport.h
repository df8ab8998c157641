#pragma once
// One worker's connections: to every node, and from every node's workers.

#include <absl/container/flat_hash_map.h>

#include <memory>
#include <vector>

#include "base/prng.h"
#include "transport/context.h"
#include "transport/messages/inbound_connection.h"
#include "transport/messages/outbound_connection.h"
#include "transport/transport.h"

namespace multiraft::transport {

/// Requests that came by Transport::call() are answered on their own connection, which is known by
/// the id they were given: it has this bit, which no id of another node's request has.
inline constexpr uint64_t kCallIdBit = uint64_t{1} << 63;

/// All calls on the worker's thread. Held by shared_ptr: tasks posted to the thread keep it.
class WorkerTransportImpl final : public WorkerTransport,
                                  public std::enable_shared_from_this<WorkerTransportImpl> {
 public:
  /// Takes responses to calls; false when nobody waits for one any more.
  using AnswerCall = Callback<bool(NodeId to, wire::Response response)>;

  WorkerTransportImpl(std::shared_ptr<Context> context, uint32_t worker, AnswerCall answer_call);

  // -- WorkerTransport
  bool send(NodeId to, const wire::GroupMessage& message) override;
  Status send(NodeId to, wire::Request request) override;
  bool take_back(NodeId to, uint64_t request_id) override;
  bool send(const Process& to, wire::Response response) override;
  void flush() override;

  void set_addresses(NodeId node, const std::vector<env::Address>& addresses);
  void forget(NodeId node);
  void node_is_alive(NodeId node, uint64_t incarnation);
  /// Takes over a connection whose handshake is done.
  void adopt(const wire::Hello& hello, std::unique_ptr<env::Stream> stream);
  bool knows(NodeId node) const { return peers_.contains(node.value); }
  void close();

 private:
  struct Sender {
    NodeId node;
    uint16_t worker;
    friend bool operator==(const Sender&, const Sender&) = default;
    template <class H>
    friend H AbslHashValue(H h, const Sender& s) {
      return H::combine(std::move(h), s.node, s.worker);
    }
  };

  template <class Record>
  bool queue(NodeId to, const Record& record);
  void flush_later(const std::shared_ptr<OutboundConnection>& peer);

  const std::shared_ptr<Context> context_;
  const uint32_t worker_;
  AnswerCall answer_call_;
  Prng random_;
  const std::shared_ptr<SendBudgets> budgets_;
  absl::flat_hash_map<uint64_t, std::shared_ptr<OutboundConnection>> peers_;
  std::vector<std::shared_ptr<OutboundConnection>> to_flush_;
  absl::flat_hash_map<Sender, std::shared_ptr<InboundConnection>> incoming_;
  bool closed_ = false;
};

}  // namespace multiraft::transport
