#pragma once
// Makes group 0 again on one surviving node, after the majority of its voters was lost for good
// (docs/adr/0017-a-lost-group-zero.md).

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/messages.h"
#include "cluster/node_context.h"
#include "cluster/replica_reconciler.h"

namespace multiraft::cluster {

/// What is about to be done, in `state_dir/new_registry`: written before anything is given up, and
/// removed once the new group 0 has its state.
struct RestorePlan {
  ReplicaId replica;  ///< Of the new group 0.
  std::string state;  ///< Of the registry, as in its snapshots.
  friend bool operator==(const RestorePlan&, const RestorePlan&) = default;
};

std::string encode_plan(const RestorePlan& plan);
/// kCorruption, or kUnsupported for what a newer program has written.
Result<RestorePlan> decode_plan(std::string_view bytes);
/// Nothing where no restoration is under way.
Result<std::optional<RestorePlan>> read_plan(env::FileSystem& fs, const std::string& state_dir);

/// Why group 0 must not be made again from a node that has `own`; ok: it may. `answers`: of the
/// other nodes that are there. `voters`: the nodes that vote in group 0, as far as this one knows;
/// both halves of a joint configuration.
Status judge_restore(NodeId self, const RegistryPosition& own,
                     const std::vector<std::vector<NodeId>>& voters,
                     const std::vector<std::pair<NodeId, RegistryPosition>>& answers);

/// On the controller's executor.
class RegistryRestore {
 public:
  struct Callbacks {
    std::function<void(const Status&)> refused;  ///< Nothing was changed.
    std::function<void(const Status&)> fatal;
    std::function<void()> done;
  };

  RegistryRestore(NodeContext& context, const AddressPublisher& addresses, std::string state_dir,
                  Callbacks callbacks);
  ~RegistryRestore();
  /// Waits for what is being written, which may post to the host's executor: while that is there.
  /// Blocks; not on the controller's executor.
  void close();

  /// Asks the others, and begins if nothing speaks against it.
  void start();
  /// Goes on with what an earlier process began.
  void resume(RestorePlan plan);
  /// This node leads group 0: the former one, or the new one.
  void on_leadership();
  /// The new group 0 is being made: nothing else may propose to it yet.
  bool under_way() const { return plan_.has_value(); }

 private:
  struct Inquiry;

  void ask(const host::ReplicaStatus& status);
  void answered(const std::shared_ptr<Inquiry>& inquiry, NodeId node,
                const Result<wire::Response>& response);
  void judge(const Inquiry& inquiry);
  void read_tail();
  void write(RestorePlan plan);
  void replace_replica();
  void propose();
  void finish();

  NodeContext& context_;
  const AddressPublisher& addresses_;
  const std::string path_;
  const Callbacks callbacks_;
  std::unique_ptr<env::Executor> thread_;  ///< For the file.
  std::optional<RestorePlan> plan_;
  bool created_ = false;
  bool proposing_ = false;
};

}  // namespace multiraft::cluster
