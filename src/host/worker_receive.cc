// What arrives from other nodes.

#include <algorithm>

#include "base/coverage.h"
#include "base/limits.h"
#include "host/propose_codec.h"
#include "host/worker.h"

namespace multiraft::host {

void Worker::on_message(NodeId from, wire::GroupMessage message) {
  if (!started_ || closed_) return;
  const uint32_t owner = peers_.worker_of(message.group);
  if (owner == index_) {
    deliver(from, std::move(message));
  } else {
    mail_[owner].push_back({from, std::move(message)});
  }
}

void Worker::on_batch_end(NodeId) {
  for (uint32_t owner = 0; owner < mail_.size(); ++owner) {
    if (mail_[owner].empty()) continue;
    Worker& other = peers_.worker(owner);
    other.executor().post(
        [&other, alive = other.alive_, mail = std::exchange(mail_[owner], {})]() mutable {
          if (!*alive || !other.started_ || other.closed_) return;
          for (Mail& m : mail) other.deliver(m.from, std::move(m.message));
        });
  }
}

void Worker::deliver(NodeId from, wire::GroupMessage message) {
  raft::Message& inner = message.message;
  Replica* to = find(message.group, inner.to);
  // Both replica ids name their node; what contradicts the connection it came on is dropped.
  if (inner.from.node() != from) {
    MR_COVERAGE("message of a replica that is not the sender's");
    return;
  }
  if (!to) {
    ++counters_.stray_messages;
    observer_.on_stray_message(message.group, from, inner.from, inner.to);
    return;
  }
  const raft::ConfState& conf = to->core().conf_state();
  auto has = [&](const std::vector<ReplicaId>& ids) {
    return std::binary_search(ids.begin(), ids.end(), inner.from);
  };
  if (!conf.empty() && !has(conf.voters) && !has(conf.learners) && !has(conf.voters_outgoing)) {
    // Not a member as far as we know: removed, or so new that we have not heard.
    observer_.on_stray_message(message.group, from, inner.from, inner.to);
  }
  if (stall_.stalled() && !inner.entries.empty() &&
      log_->bytes_pending() > limits::kLogPendingBytesStalledMax) {
    MR_COVERAGE("entries dropped while the disk hangs");
    return;  // The leader sends them again once this disk answers.
  }
  if (!arrival_.accept(from, message, now())) return;
  to->step(std::move(inner));
}

void Worker::on_request(const transport::Process& from, wire::Request request) {
  if (!started_ || closed_) return;
  if (request.kind == wire::RequestKind::kPropose) {
    Worker& owner = peers_.worker(peers_.worker_of(request.group));
    if (&owner == this) {
      propose_for(from, std::move(request));
      return;
    }
    owner.executor().post(
        [&owner, alive = owner.alive_, from, request = std::move(request)]() mutable {
          if (*alive && owner.started_) {
            owner.propose_for(from, std::move(request));
          }
        });
    return;
  }
  const uint64_t id = request.id;
  observer_.on_request(
      from.node, std::move(request),
      [this, alive = alive_, from, id](StatusCode code, SharedBytes payload) {
        executor_.post([this, alive, from, id, code, payload = std::move(payload)]() mutable {
          if (*alive) respond(from, id, code, std::move(payload));
        });
      });
}

void Worker::propose_for(const transport::Process& from, wire::Request request) {
  const GroupId id = request.group;
  auto answer = [this, alive = alive_, from, request_id = request.id](WriteResult result) {
    if (!*alive) return;
    const StatusCode code = result.status.code();
    respond(from, request_id, code, encode_write_result(result));
  };
  Replica* owner = closed_ ? nullptr : group(id);
  if (!owner || owner->core().role() != raft::Role::kLeader) {
    MR_COVERAGE("forwarded write refused");
    WriteResult result;
    result.status = Status(StatusCode::kNotLeader, "this node does not lead the group");
    answer(std::move(result));
    return;
  }
  if (request.payload.empty() || request.payload.size() > limits::kProposalBytesMax) {
    // Checked where a client's write arrives, but that was another process.
    MR_COVERAGE("forwarded write beyond the limit refused");
    WriteResult result;
    result.status =
        Status(StatusCode::kTooLarge, "the command is empty or above the limit of one proposal");
    answer(std::move(result));
    return;
  }
  if (!arrival_.accept(from.node, request, now())) {
    WriteResult result;
    result.status = Status(StatusCode::kUnavailable, "the command failed its checksum on arrival");
    answer(std::move(result));
    return;
  }
  if (peers_.disk().low() && options_.grows && options_.grows(id, request.payload.view())) {
    MR_COVERAGE("forwarded write refused over a full disk");
    WriteResult result;
    result.status = peers_.disk().refusal();
    answer(std::move(result));
    return;
  }
  ++counters_.writes;
  PendingWrite write;
  write.command = std::move(request.payload);
  write.checksum = request.checksum;
  write.deadline = now() + options_.request_timeout_ns;
  write.done = std::move(answer);
  write.forwarded = true;
  owner->write(std::move(write));
}

void Worker::respond(const transport::Process& to, uint64_t request_id, StatusCode code,
                     SharedBytes payload) {
  if (closed_ || !transport_) return;
  transport_->send(to, wire::Response{request_id, code, std::move(payload)});
  schedule_turn();
}

void Worker::on_response(NodeId from, wire::Response response) {
  const uint32_t asker = worker_of_request(response.id);
  if (asker == index_) {
    forwarding_.answered(from, response);
    return;
  }
  if (asker >= options_.workers) return;
  Worker& other = peers_.worker(asker);
  other.executor().post([&other, alive = other.alive_, from, response = std::move(response)] {
    if (*alive && !other.closed_) other.forwarding_.answered(from, response);
  });
}

void Worker::on_disconnected(NodeId node, bool ever_connected) {
  if (!started_ || closed_) return;
  forwarding_.disconnected(node, ever_connected);
  if (!ever_connected) return;
  for (Replica* group : led_by(options_.identity.node)) group->member_down(node);
  leaders_down(node);
  observer_.on_node_down(node);
}

}  // namespace multiraft::host
