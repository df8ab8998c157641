#pragma once
// Connects and shakes hands: what all outgoing connections begin with.

#include <memory>

#include "base/task.h"
#include "peer/frame_stream.h"
#include "peer/shared.h"

namespace multiraft::transport {

struct Dialed {
  std::unique_ptr<FrameStream> frames;
  peer::HelloReply reply;
};

/// On `executor`'s thread; `done` comes there, unless `alive` has become false by then.
/// kUnavailable: nobody there, or refused for now. kInvalidArgument: refused for good, with the
/// other side's words.
void dial(Shared& shared, env::Executor& executor, const env::Address& address,
          const peer::Hello& hello, int64_t timeout_ns, std::shared_ptr<bool> alive,
          Callback<void(Result<Dialed>)> done);

}  // namespace multiraft::transport
