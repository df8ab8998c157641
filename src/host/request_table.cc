#include "host/request_table.h"

#include <algorithm>

#include <string>
#include <vector>

#include "base/coverage.h"
#include "host/propose_codec.h"

namespace multiraft::host {

uint64_t RequestTable::add_write(GroupId group, NodeId node, PendingWrite write) {
  const uint64_t id = next_id_++;
  Pending& pending = pending_[id];
  pending.node = node;
  pending.group = group;
  pending.deadline = write.deadline;
  pending.write = std::move(write);
  return id;
}

uint64_t RequestTable::add_question(NodeId node, env::MonotonicTime deadline,
                                    Callback<void(Result<SharedBytes>)> done) {
  const uint64_t id = next_id_++;
  Pending& pending = pending_[id];
  pending.node = node;
  pending.deadline = deadline;
  pending.question = std::move(done);
  return id;
}

void RequestTable::not_sent(uint64_t id) {
  auto found = pending_.find(id);
  if (found == pending_.end()) return;
  Pending pending = std::move(found->second);
  pending_.erase(found);
  if (pending.write) {
    again_(pending.group, std::move(*pending.write));
  } else {
    pending.question(
        Status(StatusCode::kUnavailable, "node " + to_string(pending.node) + " cannot be reached"));
  }
}

void RequestTable::answered(NodeId from, const wire::Response& response) {
  auto found = pending_.find(response.id);
  if (found == pending_.end()) return;  // Too late: it was answered otherwise.
  if (found->second.node != from) {
    MR_COVERAGE("answer from a node that was not asked");
    return;
  }
  Pending pending = std::move(found->second);
  pending_.erase(found);
  if (!pending.write) {
    if (response.code == StatusCode::kOk) {
      pending.question(response.payload);
    } else {
      pending.question(Status(response.code, std::string(response.payload.view())));
    }
    return;
  }
  if (response.code == StatusCode::kNotLeader || response.code == StatusCode::kUnavailable) {
    // Explicitly not applied there: the only answer after which a write is tried again (trap 49).
    MR_COVERAGE("forwarded write refused and tried again");
    again_(pending.group, std::move(*pending.write));
    return;
  }
  pending.write->done(decode_write_result(response.code, response.payload));
}

void RequestTable::refused(uint64_t id, const Status& why) {
  auto found = pending_.find(id);
  if (found == pending_.end()) return;
  Pending pending = std::move(found->second);
  pending_.erase(found);
  end(std::move(pending), why);
}

void RequestTable::end(Pending pending, Status status) {
  if (!pending.write) {
    pending.question(std::move(status));
    return;
  }
  WriteResult result;
  result.status = std::move(status);
  pending.write->done(std::move(result));
}

/// In the order in which they were asked, so that a simulation can repeat it.
template <class Predicate>
std::vector<std::pair<uint64_t, RequestTable::Pending>> RequestTable::extract_if(
    Predicate predicate) {
  std::vector<std::pair<uint64_t, Pending>> taken;
  absl::erase_if(pending_, [&](auto& entry) {
    if (!predicate(entry.second)) return false;
    taken.emplace_back(entry.first, std::move(entry.second));
    return true;
  });
  std::sort(taken.begin(), taken.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return taken;
}

template <class Predicate>
void RequestTable::drop_if(Predicate predicate, const char* why) {
  for (auto& [id, pending] : extract_if(predicate)) {
    end(std::move(pending), {StatusCode::kUnknownOutcome, why});
  }
}

void RequestTable::disconnected(NodeId node, bool ever_connected) {
  if (!ever_connected) {
    // The transport drops what waited for a connection that could not be made.
    std::vector<uint64_t> ids;
    for (const auto& [id, pending] : pending_) {
      if (pending.node == node) ids.push_back(id);
    }
    std::sort(ids.begin(), ids.end());
    for (uint64_t id : ids) not_sent(id);
    return;
  }
  drop_if([&](const Pending& p) { return p.node == node; },
          "the connection to the leader broke before its answer: the outcome is not known");
}

void RequestTable::expire(env::MonotonicTime now, const TakeBack& take_back) {
  for (auto& [id, pending] : extract_if([&](const Pending& p) { return p.deadline <= now; })) {
    if (take_back(pending.node, id)) {
      const std::string node = to_string(pending.node);
      end(std::move(pending),
          {StatusCode::kUnavailable, "it could not be sent to node " + node + " in time"});
    } else {
      end(std::move(pending), {StatusCode::kUnknownOutcome,
                               "no answer from the other node in time: the outcome is not known"});
    }
  }
}

void RequestTable::fail_all() {
  drop_if([](const Pending&) { return true; }, "this node stops: the outcome is not known");
}

}  // namespace multiraft::host
