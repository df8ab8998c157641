#include "env/posix/resolver.h"

#include <deque>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "base/mutex.h"

namespace multiraft::env {
namespace {

/// Further names wait: there is one name for each node, and few nodes are looked for at a time.
constexpr size_t kThreadsMax = 16;
/// Names of nodes that are not looked for any more are not kept for ever.
constexpr size_t kNamesMax = 4096;

}  // namespace

struct Resolver::State {
  explicit State(LookUp f) : look_up(std::move(f)) {}

  static void start(const std::shared_ptr<State>& state, const Address& address)
      MR_REQUIRES(state->mutex);

  struct Name {
    std::vector<SocketAddress> found;  ///< By the last look-up that found anything.
    bool wanted = false;               ///< Being looked up, or waiting for a thread.
    std::vector<Callback<void(Answer)>> waiting;
  };

  const LookUp look_up;
  Mutex mutex;
  std::map<std::string, Name> names MR_GUARDED_BY(mutex);
  std::deque<Address> queue MR_GUARDED_BY(mutex);
  size_t threads MR_GUARDED_BY(mutex) = 0;
  bool closed MR_GUARDED_BY(mutex) = false;
};

Resolver::Resolver(LookUp look_up) : state_(std::make_shared<State>(std::move(look_up))) {}

Resolver::~Resolver() {
  std::map<std::string, State::Name> dropped;
  MutexLock lock(state_->mutex);
  state_->closed = true;
  state_->queue.clear();
  dropped.swap(state_->names);
}

void Resolver::find(const Address& address, Callback<void(Answer)> found) {
  std::vector<SocketAddress> known;
  {
    MutexLock lock(state_->mutex);
    if (state_->names.size() >= kNamesMax) {
      std::erase_if(state_->names, [](const auto& name) { return !name.second.wanted; });
    }
    State::Name& name = state_->names[address.to_string()];
    known = name.found;
    if (!std::exchange(name.wanted, true)) State::start(state_, address);
    if (known.empty()) {
      name.waiting.push_back(std::move(found));
      return;
    }
  }
  found(std::move(known));
}

void Resolver::State::start(const std::shared_ptr<State>& state, const Address& address) {
  state->queue.push_back(address);
  if (state->threads >= kThreadsMax) return;
  ++state->threads;
  std::thread([state] {
    for (;;) {
      Address next;
      {
        MutexLock lock(state->mutex);
        if (state->queue.empty()) {
          --state->threads;
          return;
        }
        next = std::move(state->queue.front());
        state->queue.pop_front();
      }
      const Answer answer = state->look_up(next);
      std::vector<Callback<void(Answer)>> waiting;
      {
        MutexLock lock(state->mutex);
        const auto name = state->names.find(next.to_string());
        if (state->closed || name == state->names.end()) continue;
        name->second.wanted = false;
        if (answer) name->second.found = *answer;
        waiting.swap(name->second.waiting);
      }
      for (Callback<void(Answer)>& found : waiting) found(answer);
    }
  }).detach();
}

}  // namespace multiraft::env
