#include "peer/dialer.h"

#include <optional>

namespace multiraft::transport {
namespace {

/// One attempt. Its timer holds it alive until it is over.
class Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(Shared& shared, env::Executor& executor, std::shared_ptr<bool> alive,
          Callback<void(Result<Dialed>)> done)
      : shared_(shared), executor_(executor), alive_(std::move(alive)), done_(std::move(done)) {}

  void start(const env::Address& address, const peer::Hello& hello, int64_t timeout_ns) {
    timer_ = executor_.run_at(shared_.env.clock().now() + timeout_ns, [self = shared_from_this()] {
      self->timer_ = 0;
      self->finish(Status(StatusCode::kUnavailable, "no answer in time"));
    });
    shared_.env.network().connect(
        executor_, address, timeout_ns,
        [self = shared_from_this(), hello](Result<std::unique_ptr<env::Stream>> stream) {
          if (self->over_) return;
          if (!*self->alive_) {
            self->finish(Status(StatusCode::kCancelled, "stopping"));
          } else if (!stream) {
            self->finish(Status(StatusCode::kUnavailable, stream.status().message()));
          } else {
            self->greet(std::move(*stream), hello);
          }
        });
  }

 private:
  void greet(std::unique_ptr<env::Stream> stream, const peer::Hello& hello) {
    frames_ = std::make_unique<FrameStream>(std::move(stream));
    // The callbacks hold the attempt weakly: it owns the stream that owns them.
    std::weak_ptr<Attempt> weak = weak_from_this();
    frames_->write(peer::encode_hello(hello), [weak](Status status) {
      auto self = weak.lock();
      if (!self) return;
      if (!status) {
        self->finish(Status(StatusCode::kUnavailable, status.message()));
        return;
      }
      self->greeted_ = true;
      self->settle();
    });
    frames_->read([weak](Result<FrameStream::Frame> frame) {
      if (auto self = weak.lock()) self->answered(std::move(frame));
      return false;
    });
  }

  void answered(Result<FrameStream::Frame> frame) {
    if (!frame) {
      finish(Status(StatusCode::kUnavailable, frame.status().message()));
      return;
    }
    auto reply = peer::decode_hello_reply(frame->payload);
    if (frame->kind != peer::FrameKind::kHelloReply || !reply) {
      finish(Status(StatusCode::kInvalidArgument, "the other side is no multiraft node"));
    } else if (!reply->accepted) {
      finish(Status(reply->retry ? StatusCode::kUnavailable : StatusCode::kInvalidArgument,
                    reply->text));
    } else {
      reply_ = std::move(*reply);
      settle();
    }
  }

  /// The answer may overtake the word that the greeting was written; both must be in.
  void settle() {
    if (greeted_ && reply_) finish(Dialed{std::move(frames_), std::move(*reply_)});
  }

  void finish(Result<Dialed> result) {
    if (over_) return;
    over_ = true;
    const auto keep = shared_from_this();
    if (timer_ != 0) executor_.cancel(timer_);
    auto frames = std::move(frames_);
    auto done = std::move(done_);
    if (*alive_) done(std::move(result));
  }

  Shared& shared_;
  env::Executor& executor_;
  std::shared_ptr<bool> alive_;
  Callback<void(Result<Dialed>)> done_;
  std::unique_ptr<FrameStream> frames_;
  std::optional<peer::HelloReply> reply_;
  env::TimerId timer_ = 0;
  bool greeted_ = false;
  bool over_ = false;
};

}  // namespace

void dial(Shared& shared, env::Executor& executor, const env::Address& address,
          const peer::Hello& hello, int64_t timeout_ns, std::shared_ptr<bool> alive,
          Callback<void(Result<Dialed>)> done) {
  auto attempt = std::make_shared<Attempt>(shared, executor, std::move(alive), std::move(done));
  attempt->start(address, hello, timeout_ns);
}

}  // namespace multiraft::transport
