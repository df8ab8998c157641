#pragma once
// The node's snapshot files and everything slow about snapshots, on a thread of their own.
//
//   state_dir/snap/state-G              saved state of an in-memory state machine
//   state_dir/snap/received-G-INDEX     a snapshot on its way in; garbage after a restart
//
// A snapshot that arrives is spooled to a file first, so that a slow or broken stream never holds a
// state machine, and then read into the SnapshotWriter that the group's worker provides.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/ids.h"
#include "env/env.h"
#include "host/snapshot_file.h"
#include "multiraft/state_machine.h"
#include "transport/transport.h"

namespace multiraft::host {

class SnapshotStore final : public transport::SnapshotReceiver {
 public:
  /// `writer_for` is asked on the snapshot thread and answers through its callback (null: not
  /// wanted); `arrived` is told on the snapshot thread when the writer has taken everything.
  struct Hooks {
    std::function<void(const wire::SnapshotHeader&,
                       Callback<void(std::unique_ptr<SnapshotWriter>)>)>
        writer_for;
    std::function<void(const wire::SnapshotHeader&, std::unique_ptr<SnapshotWriter>)> arrived;
  };

  SnapshotStore(env::FileSystem& fs, std::string directory, env::Executor& executor, Hooks hooks);
  ~SnapshotStore() override;

  /// Creates the directory and clears what an earlier process left unfinished. Blocks.
  Status open();
  env::Executor& executor() { return executor_; }

  /// Reads the saved state of an in-memory state machine into it; ok where there is none. Blocks;
  /// at start only.
  Status load_state(GroupId group, StateMachine& state_machine);
  /// Any thread; `done` on the snapshot thread.
  void save_state(GroupId group, const raft::Snapshot& position,
                  std::unique_ptr<SnapshotReader> reader, Callback<void(Status)> done);
  /// The received snapshot becomes the saved state.
  void keep_received(GroupId group, LogIndex index, Callback<void(Status)> done);
  /// Removes the files of a group.
  void forget(GroupId group);

  // -- transport::SnapshotReceiver, on the snapshot thread.
  Result<std::unique_ptr<transport::ChunkSink>> on_snapshot(
      NodeId from, const wire::SnapshotHeader& header) override;

 private:
  class Spool;

  std::string state_path(GroupId group) const;
  std::string received_path(GroupId group, LogIndex index) const;
  void spooled(const wire::SnapshotHeader& header);
  void feed(const wire::SnapshotHeader& header, std::unique_ptr<SnapshotWriter> writer);

  env::FileSystem& fs_;
  const std::string directory_;
  env::Executor& executor_;
  Hooks hooks_;
  uint32_t receiving_ = 0;
};

}  // namespace multiraft::host
