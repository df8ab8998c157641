#pragma once
// The simulated environment of interaction files: nodes, their storage and queues, and a network
// that delivers only when told to.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/raft.h"
#include "raft/testing/memory_storage.h"
#include "raft/testing/tick_lease.h"

namespace multiraft::conformance {

/// Log levels, and one above them all at which nothing is shown.
enum class Verbosity : uint8_t { kDebug, kInfo, kWarn, kError, kFatal, kNone };
std::optional<Verbosity> parse_verbosity(std::string_view name);

/// Collects what a directive shows.
class Output final : public raft::Logger {
 public:
  void write(std::string_view text) {
    if (verbosity != Verbosity::kNone) text_ += text;
  }
  void line(std::string_view text) {
    write(text);
    write("\n");
  }
  /// What `body` shows, indented by two blanks.
  void indented(const std::function<void()>& body);
  std::string take() { return std::exchange(text_, {}); }
  std::string& text() { return text_; }

  /// The verbosity at which lines of this level are shown.
  static Verbosity verbosity_of(raft::LogLevel level);
  bool enabled(raft::LogLevel level) const override { return verbosity <= verbosity_of(level); }
  void log(raft::LogLevel level, std::string_view line) override;

  Verbosity verbosity = Verbosity::kDebug;

 private:
  std::string text_;
};

/// A snapshot of the state machine, whose state is everything that was ever applied.
struct MachineSnapshot {
  std::shared_ptr<const raft::Snapshot> position;
  std::string data;
};

struct Node {
  raft::Config config;
  std::unique_ptr<raft::testing::MemoryStorage> storage;
  std::unique_ptr<raft::testing::TickLease> lease;  ///< Null where reads are confirmed.
  std::unique_ptr<raft::Raft> core;
  std::vector<MachineSnapshot> history;
  std::vector<raft::Message> append_work;
  std::vector<raft::Message> apply_work;
  raft::HardState shown;  ///< The last hard state that a Ready held.
};

/// Who receives; who merely loses messages.
struct Recipient {
  ReplicaId id;
  bool drop = false;
};

class Cluster {
 public:
  explicit Cluster(uint64_t seed) : seed_(seed) {}

  /// `bootstrap` is what the new nodes start from; blank where it is empty.
  Status add_nodes(size_t count, const raft::Config& config, const MachineSnapshot& bootstrap);
  /// The same node from what its storage and state machine hold; everything else is lost.
  Status restart(Node& node);

  /// Takes and handles one Ready.
  Status process_ready(Node& node);
  Status process_append_work(Node& node);
  Status process_apply_work(Node& node);
  /// Returns how many messages were touched.
  size_t deliver(const std::vector<Recipient>& recipients,
                 std::optional<raft::MessageType> type = std::nullopt);
  Status stabilize(const std::vector<size_t>& which);

  std::vector<Node>& nodes() { return nodes_; }
  std::vector<raft::Message>& network() { return network_; }
  Output& out() { return out_; }

 private:
  Status start(Node& node);
  void show_ready(Node& node, const raft::Ready& ready, const std::vector<raft::Message>& messages);
  Status persist(Node& node, const raft::HardState& state,
                 const std::shared_ptr<const raft::Snapshot>& snapshot,
                 const std::vector<raft::Entry>& entries);
  void apply(Node& node, const std::vector<raft::Entry>& entries);
  bool has_messages_for(ReplicaId id) const;

  uint64_t seed_;
  Output out_;
  std::vector<Node> nodes_;
  std::vector<raft::Message> network_;
};

}  // namespace multiraft::conformance
