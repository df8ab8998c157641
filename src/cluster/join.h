#pragma once
// How a node enters the cluster: the side that asks, and the side that answers.

#include <cstdint>
#include <vector>

#include "cluster/messages.h"
#include "cluster/node_context.h"

namespace multiraft::cluster {

/// Asks until there is an answer: the address of -join and other nodes that it knows in turns, and
/// then the leader it is sent to. On the controller's executor.
class Joiner {
 public:
  /// At least one target.
  Joiner(NodeContext& context, std::vector<env::Address> targets, JoinRequest request)
      : context_(context),
        targets_(std::move(targets)),
        next_(targets_.front()),
        request_(std::move(request)),
        backoff_(100 * env::kMillisecond, env::kSecond) {}

  /// One of the two is called, once: accepted, or refused for good.
  void start(Callback<void(JoinAnswer)> accepted, Callback<void(Status)> refused);

 private:
  void attempt();
  void answered(Result<wire::Response> response);
  void follow(const std::string& leader_address);
  void try_again(const std::string& why);
  void refused(StatusCode code, const std::string& why);

  NodeContext& context_;
  const std::vector<env::Address> targets_;
  env::Address next_;
  const JoinRequest request_;
  Callback<void(JoinAnswer)> accepted_;
  Callback<void(Status)> refused_;
  Backoff backoff_;
  uint64_t attempts_ = 0;
  int hops_ = 0;
};

/// Answers requests to join. On the controller's executor.
class JoinServer {
 public:
  explicit JoinServer(NodeContext& context) : context_(context) {}

  using Respond = Callback<void(StatusCode, SharedBytes)>;
  void on_request(NodeId from, std::string_view payload, Respond respond);

 private:
  using Answer = Callback<void(JoinAnswer)>;

  void decide(const JoinRequest& request, Answer answer);
  void judge_predecessor(const JoinRequest& request, const registry::NodeRecord& registered,
                         Answer answer);
  void check_silence(const JoinRequest& request, const registry::NodeRecord& registered,
                     Answer answer);
  void enter(const JoinRequest& request, StateDirId replaces, Answer answer);
  JoinAnswer accepted(const registry::RegistryOutcome& outcome) const;

  NodeContext& context_;
  size_t in_progress_ = 0;
};

}  // namespace multiraft::cluster
