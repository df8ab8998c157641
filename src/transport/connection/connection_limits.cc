#include "transport/connection/connection_limits.h"

#include <utility>

namespace multiraft::transport {

class ConnectionPlaces::Place {
 public:
  explicit Place(std::shared_ptr<ConnectionPlaces> places) : places_(std::move(places)) {
    places_->taken_.fetch_add(1, std::memory_order_relaxed);
  }
  ~Place() {
    if (places_) places_->taken_.fetch_sub(1, std::memory_order_relaxed);
  }
  Place(Place&& other) noexcept = default;
  Place& operator=(Place&& other) = delete;

 private:
  std::shared_ptr<ConnectionPlaces> places_;
};

class ConnectionPlaces::CountedStream final : public env::Stream {
 public:
  CountedStream(std::unique_ptr<env::Stream> stream, Place place)
      : place_(std::move(place)), stream_(std::move(stream)) {}

  void read_some(std::span<char> buffer, Callback<void(Result<size_t>)> done) override {
    stream_->read_some(buffer, std::move(done));
  }
  void write(std::span<const std::string_view> parts, Callback<void(Status)> done) override {
    stream_->write(parts, std::move(done));
  }
  void shutdown_write() override { stream_->shutdown_write(); }
  void close() override { stream_->close(); }
  std::string local_address() const override { return stream_->local_address(); }
  std::string remote_address() const override { return stream_->remote_address(); }
  void move_to(env::Executor& other, Callback<void(std::unique_ptr<env::Stream>)> ready) override {
    stream_->move_to(other, [place = std::move(place_),
                             ready = std::move(ready)](std::unique_ptr<env::Stream> moved) mutable {
      ready(std::make_unique<CountedStream>(std::move(moved), std::move(place)));
    });
  }

 private:
  Place place_;
  std::unique_ptr<env::Stream> stream_;
};

std::unique_ptr<env::Stream> ConnectionPlaces::count(std::unique_ptr<env::Stream> stream) {
  return std::make_unique<CountedStream>(std::move(stream), Place(shared_from_this()));
}

}  // namespace multiraft::transport
