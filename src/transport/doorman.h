#pragma once
// Who may come in: the listener and the handshakes of those who connect to us.

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <list>
#include <memory>
#include <vector>

#include "env/network.h"
#include "transport/connection_limits.h"
#include "transport/context.h"
#include "transport/frame_reader.h"
#include "transport/frame_writer.h"
#include "transport/timer.h"
#include "wire/handshake.h"

namespace multiraft::transport {

/// What is known about the nodes that connect, to judge the next one that does.
class GuestBook {
 public:
  /// Whether `hello`, sent in `version` of the protocol, is welcome. An error is told to the other
  /// side in its words.
  Status judge(uint16_t version, const wire::Hello& hello, const Context& context) const;
  /// It was welcome, and is now the node's incarnation.
  void note(const wire::Hello& hello);
  void forget(NodeId node);
  /// A node of the cluster with the state directory `state`, or with any if that is empty.
  void remember(NodeId node, const wire::StateId& state);
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
    wire::StateId state;
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
class Doorman final : public std::enable_shared_from_this<Doorman> {
 public:
  using Admit = Callback<void(const wire::Hello&, std::unique_ptr<env::Stream>)>;

  Doorman(std::shared_ptr<Context> context, Admit admit);
  ~Doorman();

  /// From any thread, once.
  Status listen();
  uint16_t port() const { return listener_->port(); }
  GuestBook& book() { return book_; }
  void close();

 private:
  class Guest;

  void accepted(std::unique_ptr<env::Stream> stream);
  /// The one that has been silent for longest, of `source` or of all.
  Guest* oldest(std::string_view source) const;
  void turn_away(Guest& guest, std::string_view why);
  void gone(Guest& guest);
  void refused(const Status& why, const std::string& whom);
  void unknown(const wire::Hello& hello, const std::string& remote_address);
  void heard(const wire::Hello& hello);

  const std::shared_ptr<Context> context_;
  Admit admit_;
  GuestBook book_;
  std::unique_ptr<env::Listener> listener_;
  absl::flat_hash_map<Guest*, std::shared_ptr<Guest>> guests_;
  std::list<Guest*> guests_in_order_;  ///< The oldest first.
  SourceCount guests_by_source_;
  const std::shared_ptr<ConnectionPlaces> places_;
  env::MonotonicTime reported_at_{INT64_MIN / 2};
  env::MonotonicTime unknown_reported_at_{INT64_MIN / 2};
  bool closed_ = false;
};

}  // namespace multiraft::transport
