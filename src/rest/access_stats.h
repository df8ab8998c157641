#pragma once
// Counters of one worker's HTTP traffic, for /metrics.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace multiraft::rest {

/// What requests are counted by. Never a group or a key: a node may host ten thousand groups.
enum class RouteClass : uint8_t {
  kKeyValue,    ///< /{group}, /{group}/{key}
  kKeyValueV1,  ///< /v1/groups/{g}/kv/{key}
  kManagement,  ///< /mgmt/groups, /{group}/mgmt/nodes
  kListing,     ///< /v1/groups, /v1/nodes
  kProbe,       ///< /livez, /readyz
  kMetrics,
  kOther,  ///< No such path, or no request at all.
};
inline constexpr size_t kRouteClasses = 7;

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
  static constexpr size_t kStatusSlots = 25;
  /// Upper ends of the buckets of durations; what is longer is in one more.
  static constexpr std::array<int64_t, 14> kBucketEndsUs = {
      100,    250,    500,     1'000,   2'500,     5'000,     10'000,
      25'000, 50'000, 100'000, 250'000, 1'000'000, 5'000'000, 10'000'000};

  void record(RouteClass route, uint16_t status, int64_t duration_ns);

  Counter connections_accepted;
  Counter connections_closed;
  Counter connections_refused;  ///< Over the limit of connections.
  Counter timeouts;             ///< Slow clients (408) and clients that did not take the answer.
  Counter protocol_errors;      ///< Requests that did not reach a handler.

  /// The sum over workers as Prometheus text.
  static std::string render(std::span<const AccessStats* const> all);

 private:
  struct Route {
    std::array<Counter, kStatusSlots> by_status;
    std::array<Counter, kBucketEndsUs.size() + 1> by_duration;
    Counter duration_ns;
  };
  static void render_route(std::span<const AccessStats* const> all, size_t route, std::string& out);

  std::array<Route, kRouteClasses> routes_;
};

}  // namespace multiraft::rest
