#include "transport/messages/worker_transport.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/coverage.h"

namespace multiraft::transport {

WorkerTransportImpl::WorkerTransportImpl(std::shared_ptr<Context> context, uint32_t worker,
                                         AnswerCall answer_call)
    : context_(std::move(context)),
      worker_(worker),
      answer_call_(std::move(answer_call)),
      random_(context_->env.random_u64()),
      budgets_(std::make_shared<SendBudgets>(context_->options.send_queue_bytes_max)) {}

template <class Record>
bool WorkerTransportImpl::queue(NodeId to, const Record& record) {
  const auto found = peers_.find(to.value);
  if (found == peers_.end() || !found->second->queue(record)) return false;
  flush_later(found->second);
  return true;
}

void WorkerTransportImpl::flush_later(const std::shared_ptr<OutboundConnection>& peer) {
  // A turn speaks to few nodes, many times to each.
  if (std::find(to_flush_.rbegin(), to_flush_.rend(), peer) == to_flush_.rend()) {
    to_flush_.push_back(peer);
  }
}

bool WorkerTransportImpl::send(NodeId to, const wire::GroupMessage& message) {
  return !context_->silent() && queue(to, message);
}

Status WorkerTransportImpl::send(NodeId to, wire::Request request) {
  MR_ASSERT_MSG((request.id & kCallIdBit) == 0, "the answer would be taken for a caller's");
  const auto found = peers_.find(to.value);
  if (found == peers_.end()) {
    return {StatusCode::kUnavailable, "the address of node " + to_string(to) + " is not known"};
  }
  MR_RETURN_IF_ERROR(found->second->ask(std::move(request)));
  flush_later(found->second);
  return Status::ok();
}

bool WorkerTransportImpl::take_back(NodeId to, uint64_t request_id) {
  const auto found = peers_.find(to.value);
  return found != peers_.end() && found->second->take_back(request_id);
}

bool WorkerTransportImpl::send(const Process& to, wire::Response response) {
  response.asker = to.incarnation;
  if ((response.id & kCallIdBit) != 0) return answer_call_(to.node, std::move(response));
  return queue(to.node, response);
}

void WorkerTransportImpl::flush() {
  for (const auto& peer : to_flush_) peer->flush();
  to_flush_.clear();
}

void WorkerTransportImpl::set_addresses(NodeId node, const std::vector<env::Address>& addresses) {
  if (closed_) return;
  const auto [entry, is_new] = peers_.try_emplace(node.value);
  if (is_new) {
    entry->second = std::make_shared<OutboundConnection>(context_, worker_, node, addresses,
                                                         budgets_, random_.next());
    // Nodes that have nothing to say to each other must still notice when the other is gone, and
    // hear what it knows. One connection per pair of nodes is enough for that.
    if (worker_ == 0 && !context_->options.identity.state.empty()) {
      const std::shared_ptr<OutboundConnection> peer = entry->second;
      peer->stay_in_contact();
    }
    return;
  }
  const std::shared_ptr<OutboundConnection> peer = entry->second;
  peer->set_addresses(addresses);
}

void WorkerTransportImpl::forget(NodeId node) {
  std::vector<std::shared_ptr<InboundConnection>> ended;
  absl::erase_if(incoming_, [&](auto& entry) {
    if (entry.first.node != node) return false;
    ended.push_back(std::move(entry.second));
    return true;
  });
  // In an order that a simulation can repeat.
  std::sort(ended.begin(), ended.end(),
            [](const auto& a, const auto& b) { return a->from_worker() < b->from_worker(); });
  for (const auto& connection : ended) connection->close();
  const auto found = peers_.find(node.value);
  if (found == peers_.end()) return;
  const std::shared_ptr<OutboundConnection> peer = std::move(found->second);
  peers_.erase(found);
  std::erase(to_flush_, peer);
  peer->forget();
}

void WorkerTransportImpl::node_is_alive(NodeId node, uint64_t incarnation) {
  const auto found = peers_.find(node.value);
  if (found == peers_.end()) return;
  const std::shared_ptr<OutboundConnection> peer = found->second;
  peer->node_is_alive(incarnation);
}

void WorkerTransportImpl::adopt(const wire::Hello& hello, std::unique_ptr<env::Stream> stream) {
  if (closed_) return;
  const Sender sender{hello.node, hello.worker};
  auto connection = std::make_shared<InboundConnection>(
      context_, worker_, hello, std::move(stream), [this, sender](InboundConnection& gone) {
        const auto found = incoming_.find(sender);
        if (found != incoming_.end() && found->second.get() == &gone) incoming_.erase(found);
      });
  std::shared_ptr<InboundConnection>& place = incoming_[sender];
  if (place) {
    // The other side has given it up; what it still holds is older than what comes now.
    MR_COVERAGE("incoming connection replaced");
    place->close();
  }
  place = connection;
  connection->start();
}

void WorkerTransportImpl::close() {
  closed_ = true;
  to_flush_.clear();
  // In an order that a simulation can repeat: others see connections end one after another.
  std::vector<std::pair<uint64_t, std::shared_ptr<OutboundConnection>>> peers(peers_.begin(),
                                                                              peers_.end());
  std::vector<std::pair<Sender, std::shared_ptr<InboundConnection>>> incoming(incoming_.begin(),
                                                                              incoming_.end());
  peers_.clear();
  incoming_.clear();
  std::sort(peers.begin(), peers.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::sort(incoming.begin(), incoming.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first.node, a.first.worker) < std::pair(b.first.node, b.first.worker);
  });
  for (const auto& [node, peer] : peers) peer->close();
  for (const auto& [sender, connection] : incoming) connection->close();
}

}  // namespace multiraft::transport
