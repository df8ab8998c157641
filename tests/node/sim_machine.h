#pragma once
// The key-value machine in two kinds that run on a simulated disk: in memory, whose state the host
// saves, and on disk, which keeps one file a group and says what of it is durable. RocksDB cannot
// stand here: its files do not go through env.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "env/file_system.h"
#include "kv/kv_engine.h"

namespace multiraft::sim {

enum class MachineKind : uint8_t { kMemory, kDisk };

/// Told of every command when it is applied.
using ApplyWatch = std::function<void(GroupId, const Command&)>;

class SimMachine;

/// On disk, a group's state is a file that is replaced as a whole: every few entries, when the host
/// asks for it, and when a snapshot is installed. After a crash a group is where its file says,
/// which is at durable_index() or, if the crash met the replacement, behind it.
class SimEngine final : public StateMachineEngine {
 public:
  /// `fs` and `watch`'s captures outlive it.
  SimEngine(env::FileSystem& fs, std::string directory, MachineKind kind, ApplyWatch watch);
  ~SimEngine() override;

  Result<std::unique_ptr<StateMachine>> open(GroupId group) override;
  Status destroy(std::span<const GroupId> groups) override;
  Result<std::vector<GroupId>> groups() override;
  Status commit(uint32_t worker) override;
  void request_flush() override { flush_asked_ = true; }

 private:
  friend class SimMachine;
  std::string path_of(GroupId group) const { return directory_ + "/" + to_string(group); }

  env::FileSystem& fs_;
  const std::string directory_;
  const MachineKind kind_;
  const ApplyWatch watch_;
  const std::unique_ptr<kv::KvEngine> memory_;
  std::map<GroupId, SimMachine*> open_;
  bool flush_asked_ = false;
};

}  // namespace multiraft::sim
