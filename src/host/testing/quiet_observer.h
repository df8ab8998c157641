#pragma once
// An observer that does nothing, for hosts without a controller.

#include "host/node_host.h"

namespace multiraft::host::testing {

/// Derive from it to override what matters; what happens on a failed disk must be said.
class QuietObserver : public HostObserver {
 public:
  void on_leadership(GroupId, const raft::SoftState&, Term) override {}
  void on_conf_state(GroupId, const raft::ConfState&) override {}
  void on_applied(GroupId, LogIndex) override {}
  void on_stray_message(GroupId, NodeId, ReplicaId, ReplicaId) override {}
  void on_request(NodeId, wire::Request, Callback<void(StatusCode, SharedBytes)> respond) override {
    respond(StatusCode::kNotFound, {});
  }
  void on_node_down(NodeId) override {}
};

}  // namespace multiraft::host::testing
