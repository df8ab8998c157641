#pragma once
// Questions of this worker that other nodes have not answered yet: forwarded writes and asks.
// On the worker's thread only.

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/task.h"
#include "env/clock.h"
#include "host/requests.h"
#include "multiraft/types.h"
#include "wire/messages.h"

namespace multiraft::host {

/// Request ids name the worker that asked in their top 16 bits, since an answer arrives on
/// whichever worker's connection the other side sends it. The rest counts from a random number, so
/// that a process does not repeat the ids of its predecessor, whose answers may still be on their
/// way. The transport drops those as well (wire::Response::asker); either alone is enough.
constexpr uint32_t worker_of_request(uint64_t id) { return static_cast<uint32_t>(id >> 48); }
constexpr uint64_t first_request_id(uint32_t worker, uint64_t random) {
  constexpr uint64_t kRandomBits = (uint64_t{1} << 47) - 1;  // Never counts into the worker.
  return (uint64_t{worker} << 48) + (random & kRandomBits) + 1;
}

class RequestTable {
 public:
  /// Told of writes that were certainly not applied and may be tried again.
  using Again = std::function<void(GroupId, PendingWrite)>;

  RequestTable(uint32_t worker, uint64_t random, Again again)
      : next_id_(first_request_id(worker, random)), again_(std::move(again)) {}

  uint64_t add_write(GroupId group, NodeId node, PendingWrite write);
  uint64_t add_question(NodeId node, env::MonotonicTime deadline,
                        Callback<void(Result<SharedBytes>)> done);
  /// It was not sent after all. A write is tried again.
  void not_sent(uint64_t id);
  /// Likewise, and `why` is the answer.
  void refused(uint64_t id, const Status& why);
  /// Counts only if it comes from the node that was asked.
  void answered(NodeId from, const wire::Response& response);
  /// The connection broke, or an attempt to make one failed (then nothing was sent).
  void disconnected(NodeId node, bool ever_connected);
  /// Ends those whose time is over. `take_back` says whether the request was not sent and now never
  /// will be: what it asks for has certainly not happened.
  using TakeBack = std::function<bool(NodeId node, uint64_t id)>;
  void expire(env::MonotonicTime now, const TakeBack& take_back);
  void fail_all();
  bool empty() const { return pending_.empty(); }

 private:
  struct Pending {
    NodeId node;
    GroupId group;
    env::MonotonicTime deadline;
    std::optional<PendingWrite> write;
    Callback<void(Result<SharedBytes>)> question;
  };
  static void end(Pending pending, Status status);
  template <class Predicate>
  std::vector<std::pair<uint64_t, Pending>> extract_if(Predicate predicate);
  template <class Predicate>
  void drop_if(Predicate predicate, const char* why);

  uint64_t next_id_;
  Again again_;
  absl::flat_hash_map<uint64_t, Pending> pending_;
};

}  // namespace multiraft::host
