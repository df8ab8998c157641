#pragma once
// Requests that come by Transport::call(), each on a connection of its own.

#include <absl/container/flat_hash_map.h>

#include <memory>

#include "env/network.h"
#include "transport/connection/connection_limits.h"
#include "transport/context.h"
#include "wire/handshake.h"

namespace multiraft::transport {

/// On worker 0's thread. A request reaches worker 0's receiver under an id of ours; the response to
/// that id goes back on the connection that the request came on, because its sender may have no
/// address yet.
class RpcServer final : public std::enable_shared_from_this<RpcServer> {
 public:
  explicit RpcServer(std::shared_ptr<Context> context);
  ~RpcServer();

  /// `known`: the caller is a node of the cluster. Others may ask to join, and their questions come
  /// from node 0.
  void adopt(const wire::Hello& hello, std::unique_ptr<env::Stream> stream, bool known);
  /// False: nobody waits for it any more.
  bool answer(NodeId to, wire::Response response);
  void close();

 private:
  class Caller;

  void gone(Caller& caller);

  const std::shared_ptr<Context> context_;
  absl::flat_hash_map<Caller*, std::shared_ptr<Caller>> callers_;
  absl::flat_hash_map<uint64_t, Caller*> waiting_;  ///< By our id.
  SourceCount strangers_;                           ///< Of the callers.
  uint64_t next_id_;
  bool closed_ = false;
};

}  // namespace multiraft::transport
