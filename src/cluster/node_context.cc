#include "cluster/node_context.h"

#include <algorithm>

namespace multiraft::cluster {

void NodeContext::propose(const registry::RegistryCommand& command,
                          Callback<void(Result<registry::RegistryOutcome>)> done) {
  const uint32_t needed = registry::version_needed(command);
  if (const uint32_t version = view()->cluster_version(); needed > std::max(1U, version)) {
    executor.post(guard([done = std::move(done), needed, version]() mutable {
      done(Status(StatusCode::kUnsupported, "this needs cluster version " + std::to_string(needed) +
                                                ", and the cluster is at " +
                                                std::to_string(version) +
                                                ": upgrade all of its nodes first"));
    }));
    return;
  }
  host.write(
      registry::kRegistryGroup, registry::encode_command(command), executor,
      guard_posted([done = std::move(done)](host::WriteResult result) mutable {
        if (result.status) {
          done(registry::decode_outcome(result.result));
        } else if (result.status.code() == StatusCode::kNotFound) {
          done(Status(StatusCode::kUnavailable, "this node is not a member of a cluster yet"));
        } else {
          done(result.status);
        }
      }));
}

void NodeContext::read_barrier(Callback<void(Status)> done) {
  host.read(registry::kRegistryGroup, host::ReadMode::kLinearizable,
            guard_posted([done = std::move(done)](const host::ReadPermit& permit) mutable {
              done(permit.status);
            }));
}

void NodeContext::reply(env::Executor& reply_on, Callback<void(Status)> done, Status status) {
  reply_on.post(
      [done = std::move(done), status = std::move(status)]() mutable { done(std::move(status)); });
}

}  // namespace multiraft::cluster
