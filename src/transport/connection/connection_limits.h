#pragma once
// How many connections others may have to this node, and how many of them one address may have.

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "env/network.h"

namespace multiraft::transport {

/// The host of "HOST:PORT".
inline std::string_view source_of(std::string_view remote_address) {
  return remote_address.substr(0, remote_address.rfind(':'));
}

/// Counts what strangers occupy, by the address they come from. On one thread.
class SourceCount {
 public:
  explicit SourceCount(size_t most) : most_(most) {}
  bool full(std::string_view source) const {
    const auto found = counts_.find(source);
    return found != counts_.end() && found->second >= most_;
  }
  void add(std::string_view source) { ++counts_[std::string(source)]; }
  void remove(std::string_view source) {
    const auto found = counts_.find(source);
    if (found != counts_.end() && --found->second == 0) counts_.erase(found);
  }

 private:
  const size_t most_;
  std::map<std::string, size_t, std::less<>> counts_;
};

/// All connections that others have made, whatever has become of them. Any thread.
class ConnectionPlaces : public std::enable_shared_from_this<ConnectionPlaces> {
 public:
  explicit ConnectionPlaces(size_t most) : most_(most) {}
  bool full() const { return taken_.load(std::memory_order_relaxed) >= most_; }
  size_t taken() const { return taken_.load(std::memory_order_relaxed); }
  /// The same stream, which counts until it is destroyed, wherever it is moved to.
  std::unique_ptr<env::Stream> count(std::unique_ptr<env::Stream> stream);

 private:
  class Place;
  class CountedStream;

  const size_t most_;
  std::atomic<size_t> taken_{0};
};

}  // namespace multiraft::transport
