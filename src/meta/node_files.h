#pragma once
// The node's small files, written on a thread of their own: a worker never waits for a disk.

#include <functional>
#include <memory>
#include <string>

#include "meta/address_book.h"
#include "meta/node_context.h"
#include "meta/node_identity.h"

namespace multiraft::meta {

/// The file `peers`; empty where there is none. Blocks.
Result<AddressBook> read_addresses(env::FileSystem& fs, const std::string& state_dir);

/// On the controller's executor. `identity` belongs to it until close().
class NodeFiles {
 public:
  /// `fatal` is told when the identity cannot be written any more.
  NodeFiles(NodeContext& context, NodeIdentity& identity, std::function<void(const Status&)> fatal);
  ~NodeFiles();

  const NodeFacts& facts() const { return facts_; }
  /// Changes the facts at once, and calls `durable` when that survives a crash. In order.
  void change(const std::function<void(NodeFacts&)>& change, Task durable);

  /// Where other nodes were reached, as of the start and of later save_addresses().
  const AddressBook& addresses() const { return addresses_; }
  /// Where the nodes differ from what is saved. `tried` comes when it is over, saved or not.
  void save_addresses(AddressBook addresses, Task tried = nullptr);
  /// What the transport knows of others' state directories, if it differs from what is saved.
  void save_lives();

  /// Writes out what is queued. Blocks; not on the controller's executor.
  void close();

 private:
  void load_addresses();
  void write_addresses(Task tried);

  NodeContext& context_;
  NodeIdentity& identity_;
  const std::string addresses_path_;
  const std::function<void(const Status&)> fatal_;
  NodeFacts facts_;
  AddressBook addresses_;
  std::unique_ptr<env::Executor> thread_;
};

}  // namespace multiraft::meta
