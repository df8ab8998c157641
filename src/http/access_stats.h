#pragma once
// Counters of one worker's HTTP traffic, for /metrics.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace multiraft::http {

/// A number that one thread adds to and any thread reads.
class Counter {
 public:
  void add(uint64_t n = 1) {
    // One writer: no locked instruction is needed.
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class AccessStats {
 public:
  /// What requests are counted by: `route` in record() is an index into these names, which are of
  /// static storage. The first one is for requests that reach no handler.
  explicit AccessStats(std::span<const std::string_view> route_names)
      : route_names_(route_names), routes_(route_names.size()) {}

  static constexpr size_t kStatusSlots = 25;
  /// Upper ends of the buckets of durations; what is longer is in one more.
  static constexpr std::array<int64_t, 14> kBucketEndsUs = {
      100,    250,    500,     1'000,   2'500,     5'000,     10'000,
      25'000, 50'000, 100'000, 250'000, 1'000'000, 5'000'000, 10'000'000};

  void record(size_t route, uint16_t status, int64_t duration_ns);

  Counter connections_accepted;
  Counter connections_closed;
  Counter connections_refused;  ///< Over the limit of connections.
  Counter timeouts;             ///< Slow clients (408) and clients that did not take the answer.
  Counter protocol_errors;      ///< Requests that did not reach a handler.

  /// The sum over workers, which count by the same routes, as Prometheus text.
  static std::string render(std::span<const AccessStats* const> all);

 private:
  struct Route {
    std::array<Counter, kStatusSlots> by_status;
    std::array<Counter, kBucketEndsUs.size() + 1> by_duration;
    Counter duration_ns;
  };
  static void render_route(std::span<const AccessStats* const> all, size_t route, std::string& out);

  const std::span<const std::string_view> route_names_;
  std::vector<Route> routes_;
};

}  // namespace multiraft::http
