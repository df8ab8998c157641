#pragma once
// The node's small files, written on a thread of their own: a worker never waits for a disk.

#include <functional>
#include <memory>
#include <string>

#include "cluster/node_context.h"
#include "state_dir/known_nodes.h"
#include "state_dir/node_identity.h"

namespace multiraft::cluster {

/// The file `peers`; empty where there is none. Blocks.
Result<state_dir::KnownNodes> read_known_nodes(env::FileSystem& fs, const std::string& state_dir);

/// On the controller's executor. `identity` belongs to it until close().
class NodeFiles {
 public:
  /// `fatal` is called when the identity cannot be written any more.
  NodeFiles(NodeContext& context, state_dir::NodeIdentity& identity,
            std::function<void(const Status&)> fatal);
  ~NodeFiles();

  const state_dir::NodeFacts& facts() const { return facts_; }
  /// Changes the facts at once, and calls `durable` when that survives a crash. In order.
  void change(const std::function<void(state_dir::NodeFacts&)>& change, Task durable);

  /// Where other nodes were reached, as of the start and of later save_addresses().
  const state_dir::KnownNodes& addresses() const { return addresses_; }
  /// Where the nodes differ from what is saved. `tried` comes when it is over, saved or not.
  void save_addresses(state_dir::KnownNodes addresses, Task tried = nullptr);
  /// What the transport knows of others' state directories, if it differs from what is saved.
  void save_boots();

  /// Writes out what is queued. Blocks; not on the controller's executor.
  void close();

 private:
  void load_addresses();
  void write_addresses(Task tried);

  NodeContext& context_;
  state_dir::NodeIdentity& identity_;
  const std::string addresses_path_;
  const std::function<void(const Status&)> fatal_;
  state_dir::NodeFacts facts_;
  state_dir::KnownNodes addresses_;
  std::unique_ptr<env::Executor> thread_;
};

}  // namespace multiraft::cluster
