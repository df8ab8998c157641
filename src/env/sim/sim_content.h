#pragma once
// The bytes of one simulated file: what the running system sees, what is durable, and every
// unsynced change in between.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/prng.h"

namespace multiraft::env {

inline constexpr uint64_t kSimSectorBytes = 512;
inline constexpr uint64_t kSimPageBytes = 4096;

/// Immutable; a null reference stands for zeros.
struct SimPage {
  std::array<char, kSimPageBytes> bytes{};
};
using SimPageRef = std::shared_ptr<const SimPage>;

/// A sparse file. Copies share pages.
struct SimBytes {
  std::map<uint64_t, SimPageRef> pages;  ///< By page number; absent = zeros.
  uint64_t size = 0;

  SimPageRef page(uint64_t number) const;
  size_t read(uint64_t offset, std::span<char> buffer) const;
  /// Overwrites without a record; grows where needed.
  void put(uint64_t offset, std::string_view bytes);
  void put_zeros(uint64_t offset, uint64_t size);
  void truncate(uint64_t new_size);
};

/// How a power loss treats one file's unsynced changes.
struct SimTear {
  uint64_t operation = 0;    ///< Changes below this number are kept, later ones lost.
  uint64_t granularity = 0;  ///< `operation` itself is cut at a multiple of this many bytes.
};

/// A file's content with the history since its last sync.
class SimContent {
 public:
  SimContent() = default;
  explicit SimContent(SimBytes durable) : current_(durable), durable_(std::move(durable)) {}

  const SimBytes& current() const { return current_; }

  void write(uint64_t operation, uint64_t offset, std::string_view bytes);
  void zero(uint64_t operation, uint64_t offset, uint64_t size);
  void truncate(uint64_t operation, uint64_t size);
  void sync();
  /// A failed sync: the dirty pages are gone, and a later sync has nothing to write.
  void lose_unsynced();
  /// Changes what is stored, durable and volatile alike, behind the system's back.
  void damage(uint64_t offset, std::string_view bytes);

  /// The operations not yet durable, in order.
  void append_unsynced_operations(std::vector<uint64_t>& operations) const;

  // What a machine finds after power loss.
  SimBytes keep_all() const { return current_; }
  SimBytes keep_none() const { return durable_; }
  /// Every sector holds any one of the versions it has had since the last sync, independently of
  /// all others, and the file has any one of its sizes.
  SimBytes keep_random_sectors(Prng& random) const;
  SimBytes keep_torn(const SimTear& tear, Prng& random) const;

 private:
  /// One unsynced write or truncation and the pages as it left them.
  struct Change {
    uint64_t operation = 0;
    uint64_t offset = 0;
    uint64_t length = 0;  ///< Bytes of the file that changed.
    uint64_t size_after = 0;
    bool divisible = false;  ///< A write, which can be torn.
    std::vector<std::pair<uint64_t, SimPageRef>> pages;
  };

  void record(uint64_t operation, uint64_t offset, uint64_t length, bool divisible);
  static void apply(const Change& change, SimBytes& to);
  static void apply_prefix(const Change& change, uint64_t end, SimBytes& to);

  SimBytes current_;
  SimBytes durable_;
  std::vector<Change> unsynced_;
};

}  // namespace multiraft::env
