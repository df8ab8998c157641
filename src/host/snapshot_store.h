#pragma once
// The node's snapshot files and everything slow about snapshots, on a thread of their own.
//
//   state_dir/snap/state-G-R            saved state of an in-memory state machine of replica R
//   state_dir/snap/received-G-STREAM    a snapshot on its way in; garbage after a restart
//
// A snapshot that arrives is spooled to a file first, so that a slow or broken stream never holds a
// state machine, and then read into the SnapshotWriter that the group's worker provides. A group
// has one on its way in at a time: a newer one takes the place of what still arrives, and none is
// taken while another is read in or installed. The file goes with the last one who needs it.
//
// A few arrive at a time; the others wait in a queue, in the order in which they asked, so that a
// node whose disk was replaced is refilled as fast as it can take it in, and no group is forgotten.

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "env/env.h"
#include "host/snapshot_file.h"
#include "multiraft/state_machine.h"
#include "multiraft/types.h"
#include "transport/transport.h"

namespace multiraft::host {

class SnapshotStore final : public transport::SnapshotReceiver {
 public:
  /// The group's worker. Called on the snapshot thread; callbacks may come on any.
  struct Hooks {
    /// Whether it is wanted at all, before anything is taken.
    std::function<void(const wire::SnapshotHeader&, Callback<void(Status)>)> judge;
    /// Where it goes to; null: not wanted any more.
    std::function<void(const wire::SnapshotHeader&,
                       Callback<void(std::unique_ptr<SnapshotWriter>)>)>
        writer_for;
    /// The writer has taken everything. `taken` says what the core made of it; where it is ok, the
    /// group calls install_received() or drop_received().
    std::function<void(const wire::SnapshotHeader&, std::unique_ptr<SnapshotWriter>,
                       Callback<void(Status)>)>
        arrived;
    /// kNoSpace while what arrives must not take the rest of the disk: the node's logs need it. May
    /// be null.
    std::function<Status()> room;
  };

  SnapshotStore(env::FileSystem& fs, std::string directory, env::Executor& executor, Hooks hooks);
  ~SnapshotStore() override;

  /// Creates the directory and clears what an earlier process left unfinished. Blocks.
  Status open();
  env::Executor& executor() { return executor_; }

  /// Reads the saved state of an in-memory state machine into it; ok where there is none.
  /// kCorruption where the file is another replica's. Blocks; at start only.
  Status load_state(GroupId group, ReplicaId replica, StateMachine& state_machine);
  /// Removes the saved states of all other replicas, durably: of those whose removal a crash cut
  /// short. Not those of groups for which `keeps` is true. Blocks; at start only.
  Status retain(const std::vector<std::pair<GroupId, ReplicaId>>& replicas,
                const std::function<bool(GroupId)>& keeps);
  /// Any thread; `done` on the snapshot thread.
  void save_state(GroupId group, ReplicaId replica, const raft::Snapshot& position,
                  std::unique_ptr<SnapshotReader> reader, Callback<void(Status)> done);
  /// Any thread; `done` on the snapshot thread. Ends what began with Hooks::arrived: the writer
  /// replaces the state, after the file became the saved state where `in_memory`. Slow. After an
  /// error nothing of it is left.
  void install_received(GroupId group, ReplicaId replica, bool in_memory,
                        std::unique_ptr<SnapshotWriter> writer, Callback<void(Status)> done);
  /// Removes the files of a replica that is gone, later and durably. After what was asked for it
  /// before. Any thread.
  void forget(GroupId group, ReplicaId replica);

  // -- transport::SnapshotReceiver, on the snapshot thread.
  void on_snapshot(NodeId from, const wire::SnapshotHeader& header,
                   Callback<void(Result<std::unique_ptr<transport::ChunkSink>>)> done) override;

 private:
  class Spool;
  struct Feed;
  /// The snapshot of a group that is on its way in.
  struct Incoming {
    wire::SnapshotHeader header;
    Spool* spool = nullptr;  ///< Null once whole: it is read in or installed.
  };

  std::string state_name(GroupId group, ReplicaId replica) const;
  std::string state_path(GroupId group, ReplicaId replica) const;
  /// Syncs the directory behind all removals that are already queued.
  void sync_later();
  std::string received_path(const wire::SnapshotHeader& header) const;
  using Answer = Callback<void(Result<std::unique_ptr<transport::ChunkSink>>)>;
  struct Waiting {
    NodeId from;
    wire::SnapshotHeader header;
    Answer done;
  };

  Result<std::unique_ptr<transport::ChunkSink>> admit(const wire::SnapshotHeader& header);
  void admit_or_wait(NodeId from, const wire::SnapshotHeader& header, Answer done);
  /// A place is free: it is judged once more, since it may have waited for long.
  void next_in_line();
  void erase_incoming(GroupId group);
  /// Whether this stream is the one on its way in.
  bool is_current(const wire::SnapshotHeader& header) const;
  Status room() const { return hooks_.room ? hooks_.room() : Status::ok(); }
  void spooled(const wire::SnapshotHeader& header, Callback<void(Status)> done);
  void feed(std::shared_ptr<Feed> feed);
  void end_feed(Feed& feed, const Status& status);
  /// No more of it: the file goes.
  void drop(const wire::SnapshotHeader& header);

  env::FileSystem& fs_;
  const std::string directory_;
  env::Executor& executor_;
  Hooks hooks_;
  bool sync_queued_ = false;  ///< The snapshot thread's.
  /// By group; the snapshot thread's.
  absl::flat_hash_map<uint64_t, Incoming> incoming_;
  std::deque<Waiting> line_;
};

}  // namespace multiraft::host
