#pragma once
// Who may come in: the listener and the handshakes of those who connect to us.

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <list>
#include <memory>
#include <vector>

#include "env/network.h"
#include "transport/connection/connection_limits.h"
#include "transport/connection/frame_reader.h"
#include "transport/connection/frame_writer.h"
#include "transport/context.h"
#include "transport/timer.h"
#include "wire/handshake.h"

namespace multiraft::transport {

/// What is known about the nodes that connect, to judge the next one that does.
class IncarnationTable {
 public:
  /// Whether `hello`, sent in `version` of the protocol, is welcome. An error is sent to the other
  /// side in its words.
  Status judge(uint16_t version, const wire::Hello& hello, const Context& context) const;
  /// It was welcome, and is now the node's incarnation.
  void note(const wire::Hello& hello);
  void forget(NodeId node);
  /// A node of the cluster with the state directory `state`, or with any if that is empty.
  void remember(NodeId node, const StateDirId& state);
  /// Whether the hello comes from a node that was to be remembered.
  bool knows(const wire::Hello& hello) const;
  /// Whether the node has not said before that it is reached there.
  bool is_news(NodeId node, const std::string& raft_address);

 private:
  struct Known {
    uint64_t incarnation = 0;
    std::vector<uint64_t> earlier;  ///< The last few, oldest first.
  };
  struct Member {
    StateDirId state;
    std::string raft_address;  ///< As it said itself.
  };

  absl::flat_hash_map<uint64_t, Known> known_;
  absl::flat_hash_map<uint64_t, Member> members_;
  absl::flat_hash_set<uint64_t> forgotten_;
};

/// On worker 0's thread.
///
///   accept --> Guest: hello within the timeout --> judge --> reply --> admit(hello, stream)
///                 |  garbage, silence, too many      '--> refusal, end of stream, close
class Acceptor final : public std::enable_shared_from_this<Acceptor> {
 public:
  using Admit = Callback<void(const wire::Hello&, std::unique_ptr<env::Stream>)>;

  Acceptor(std::shared_ptr<Context> context, Admit admit);
  ~Acceptor();

  /// From any thread, once.
  Status listen();
  uint16_t port() const { return listener_->port(); }
  IncarnationTable& book() { return book_; }
  void close();

 private:
  class PendingHandshake;

  void accepted(std::unique_ptr<env::Stream> stream);
  /// The one that has been silent for longest, of `source` or of all.
  PendingHandshake* oldest(std::string_view source) const;
  void turn_away(PendingHandshake& guest, std::string_view why);
  void gone(PendingHandshake& guest);
  void refused(const Status& why, const std::string& whom);
  void unknown(const wire::Hello& hello, const std::string& remote_address);
  void heard(const wire::Hello& hello);

  const std::shared_ptr<Context> context_;
  Admit admit_;
  IncarnationTable book_;
  std::unique_ptr<env::Listener> listener_;
  absl::flat_hash_map<PendingHandshake*, std::shared_ptr<PendingHandshake>> guests_;
  std::list<PendingHandshake*> guests_in_order_;  ///< The oldest first.
  SourceCount guests_by_source_;
  const std::shared_ptr<ConnectionPlaces> places_;
  env::MonotonicTime reported_at_{INT64_MIN / 2};
  env::MonotonicTime unknown_reported_at_{INT64_MIN / 2};
  bool closed_ = false;
};

}  // namespace multiraft::transport
