#include "server/address_wait.h"

#include <memory>

namespace multiraft::server {
namespace {

Status try_address(env::Network& network, env::Executor& executor, const env::Address& address) {
  auto listener = network.listen(executor, address, [](const std::unique_ptr<env::Stream>&) {});
  if (!listener) return listener.status();
  executor.run_and_wait([&] { listener->reset(); });
  return Status::ok();
}

}  // namespace

Status wait_for_addresses(env::Environment& env, const std::vector<env::Address>& addresses,
                          const AddressWait& wait) {
  const std::unique_ptr<env::Executor> executor = env.start_executor("addresses");
  bool reported = false;
  int64_t waited_ns = 0;
  for (const env::Address& address : addresses) {
    for (;;) {
      const Status status = try_address(env.network(), *executor, address);
      if (status) break;
      const bool may_change =
          status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kOverloaded;
      if (!may_change || waited_ns >= wait.limit_ns) return status;
      if (!reported) wait.on_waiting(status);
      reported = true;
      if (wait.pause(wait.retry_ns)) return {StatusCode::kCancelled, "asked to stop"};
      waited_ns += wait.retry_ns;
    }
  }
  return Status::ok();
}

}  // namespace multiraft::server
