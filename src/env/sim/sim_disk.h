#pragma once
// The inside of SimFileSystem: the tree of names with its unsynced changes, and the counters that
// crashes and faults go by.

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "env/sim/sim_content.h"
#include "env/sim/sim_file_system.h"

namespace multiraft::env {

struct SimNode;
using SimNodeRef = std::shared_ptr<SimNode>;
using SimNames = std::map<std::string, SimNodeRef>;

/// A file or a directory. A removed one lives on while it is open.
struct SimNode {
  bool is_directory = false;
  SimContent content;  ///< Of a file.
  SimNames names;      ///< Of a directory, as they are seen now.
  SimNames durable;    ///< Of a directory, as of its last sync.
};

/// Everything of one simulated disk. Shared by the file system and its open files; callers hold
/// `mutex`.
class SimFileSystem::Disk {
 public:
  std::mutex mutex;

  /// An operation that is being tried.
  struct Attempt {
    Status status;
    uint64_t number = 0;
    std::optional<SimFault> fault;  ///< The status says its error.
  };
  enum class Kind : uint8_t { kChange, kSync };
  Attempt begin(Kind kind, const std::string& what);
  Status begin_read(const std::string& what);

  // Names.
  struct Place {
    SimNodeRef directory;
    std::string name;
  };
  const SimNodeRef& root() const { return root_; }
  SimNodeRef find(const std::string& path) const;  ///< nullptr where there is none.
  /// The directory a path's last name is in; no directory where that does not exist.
  Place locate(const std::string& path) const;
  void link(uint64_t operation, const Place& place, SimNodeRef node);
  void unlink(uint64_t operation, const Place& place);
  void rename(uint64_t operation, const Place& from, const Place& to);
  void sync_names(const SimNodeRef& directory);
  Status remove_tree(const Place& place, const std::string& path);

  // Space.
  uint64_t used_bytes() const;
  /// How many of the `growth` bytes a file may have.
  uint64_t grant(uint64_t growth) const;

  std::shared_ptr<Disk> crash_image(CrashMode mode, uint64_t seed) const;

  // Settings and counters of the interface.
  uint64_t operations = 0;
  uint64_t syncs = 0;
  uint64_t reads = 0;
  uint64_t crash_after = std::numeric_limits<uint64_t>::max();
  bool crashed = false;
  std::map<uint64_t, SimFault> faults;  ///< By number of the operation.
  std::set<uint64_t> failing_syncs;
  std::set<uint64_t> failing_reads;
  std::optional<uint64_t> space_limit;
  std::optional<uint64_t> free_files_reported;
  std::set<std::string> locks;

 private:
  /// A name that now means `node` (nullptr: nothing).
  struct Binding {
    SimNodeRef directory;
    std::string name;
    SimNodeRef node;
  };
  /// One unsynced operation on names, kept or lost as a whole.
  struct NameChange {
    uint64_t operation;
    std::vector<Binding> bindings;
  };
  using Images = std::map<const SimNode*, SimNames>;

  void change_names(uint64_t operation, std::vector<Binding> bindings);
  static void bind(SimNames& names, const Binding& binding);
  SimTear pick_tear(CrashMode mode, Prng& random) const;
  Images name_images(CrashMode mode, const SimTear& tear, Prng& random) const;
  static void collect_operations(const SimNode& node, std::vector<uint64_t>& operations);
  static SimNodeRef image_of(const SimNode& node, const Images& images, CrashMode mode,
                             const SimTear& tear, Prng& random);

  const SimNodeRef root_ = [] {
    auto node = std::make_shared<SimNode>();
    node->is_directory = true;
    return node;
  }();
  std::vector<NameChange> unsynced_names_;
};

/// The path without empty names, "." and "..", and without a slash at either end.
std::string sim_normal_path(const std::string& path);

}  // namespace multiraft::env
