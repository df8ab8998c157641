#include "env/sim/sim_content.h"

#include <algorithm>
#include <cstring>

namespace multiraft::env {
namespace {

constexpr uint64_t kSectorsPerPage = kSimPageBytes / kSimSectorBytes;

bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size) {
  return a < b + b_size && b < a + a_size;
}

void copy_bytes(const SimPageRef& from, uint64_t at, uint64_t size, SimPage& to) {
  if (from) {
    std::memcpy(to.bytes.data() + at, from->bytes.data() + at, size);
  } else {
    std::memset(to.bytes.data() + at, 0, size);
  }
}

/// Visits the pages of [offset, offset + size): visit(page, offset within it, bytes).
template <class Visit>
void for_each_page(uint64_t offset, uint64_t size, Visit&& visit) {
  while (size > 0) {
    const uint64_t at = offset % kSimPageBytes;
    const uint64_t n = std::min(size, kSimPageBytes - at);
    visit(offset / kSimPageBytes, at, n);
    offset += n;
    size -= n;
  }
}

}  // namespace

SimPageRef SimBytes::page(uint64_t number) const {
  const auto it = pages.find(number);
  return it == pages.end() ? nullptr : it->second;
}

size_t SimBytes::read(uint64_t offset, std::span<char> buffer) const {
  if (offset >= size) return 0;
  const uint64_t total = std::min<uint64_t>(buffer.size(), size - offset);
  char* out = buffer.data();
  for_each_page(offset, total, [&](uint64_t number, uint64_t at, uint64_t n) {
    if (const SimPageRef source = page(number)) {
      std::memcpy(out, source->bytes.data() + at, n);
    } else {
      std::memset(out, 0, n);
    }
    out += n;
  });
  return total;
}

void SimBytes::put(uint64_t offset, std::string_view bytes) {
  const char* in = bytes.data();
  for_each_page(offset, bytes.size(), [&](uint64_t number, uint64_t at, uint64_t n) {
    const SimPageRef old = page(number);
    auto fresh = old ? std::make_shared<SimPage>(*old) : std::make_shared<SimPage>();
    std::memcpy(fresh->bytes.data() + at, in, n);
    pages[number] = std::move(fresh);
    in += n;
  });
  if (!bytes.empty()) size = std::max(size, offset + bytes.size());
}

void SimBytes::put_zeros(uint64_t offset, uint64_t length) {
  for_each_page(offset, length, [&](uint64_t number, uint64_t at, uint64_t n) {
    const auto it = pages.find(number);
    if (it == pages.end()) return;
    if (n == kSimPageBytes) {
      pages.erase(it);
      return;
    }
    auto fresh = std::make_shared<SimPage>(*it->second);
    std::memset(fresh->bytes.data() + at, 0, n);
    it->second = std::move(fresh);
  });
  if (length > 0) size = std::max(size, offset + length);
}

void SimBytes::truncate(uint64_t new_size) {
  if (new_size < size) {
    // What a later growth uncovers are zeros.
    pages.erase(pages.lower_bound((new_size + kSimPageBytes - 1) / kSimPageBytes), pages.end());
    const uint64_t in_page = new_size % kSimPageBytes;
    if (in_page != 0) put_zeros(new_size, kSimPageBytes - in_page);
  }
  size = new_size;
}

void SimContent::record(uint64_t operation, uint64_t offset, uint64_t length, bool divisible) {
  Change change{operation, offset, length, current_.size, divisible, {}};
  for_each_page(offset, length, [&](uint64_t number, uint64_t, uint64_t) {
    change.pages.emplace_back(number, current_.page(number));
  });
  unsynced_.push_back(std::move(change));
}

void SimContent::write(uint64_t operation, uint64_t offset, std::string_view bytes) {
  current_.put(offset, bytes);
  record(operation, offset, bytes.size(), true);
}

void SimContent::zero(uint64_t operation, uint64_t offset, uint64_t size) {
  current_.put_zeros(offset, size);
  record(operation, offset, size, true);
}

void SimContent::truncate(uint64_t operation, uint64_t size) {
  const uint64_t before = current_.size;
  current_.truncate(size);
  record(operation, std::min(size, before), before > size ? before - size : 0, false);
}

void SimContent::sync() {
  for (const Change& change : unsynced_) apply(change, durable_);
  unsynced_.clear();
}

void SimContent::lose_unsynced() {
  current_ = durable_;
  unsynced_.clear();
}

void SimContent::damage(uint64_t offset, std::string_view bytes) {
  current_.put(offset, bytes);
  if (offset < durable_.size) durable_.put(offset, bytes.substr(0, durable_.size - offset));
  for (Change& change : unsynced_) {
    SimBytes view;
    view.pages.insert(change.pages.begin(), change.pages.end());
    view.put(offset, bytes);
    for (auto& [number, page] : change.pages) page = view.page(number);
  }
}

void SimContent::append_unsynced_operations(std::vector<uint64_t>& operations) const {
  for (const Change& change : unsynced_) operations.push_back(change.operation);
}

void SimContent::apply(const Change& change, SimBytes& to) {
  for (const auto& [number, page] : change.pages) {
    if (page) {
      to.pages[number] = page;
    } else {
      to.pages.erase(number);
    }
  }
  to.size = change.size_after;
}

void SimContent::apply_prefix(const Change& change, uint64_t end, SimBytes& to) {
  if (end <= change.offset) return;
  for (const auto& [number, page] : change.pages) {
    const uint64_t begin = std::max(change.offset, number * kSimPageBytes);
    const uint64_t stop = std::min(end, (number + 1) * kSimPageBytes);
    if (begin >= stop) break;
    const SimPageRef old = to.page(number);
    auto fresh = old ? std::make_shared<SimPage>(*old) : std::make_shared<SimPage>();
    copy_bytes(page, begin % kSimPageBytes, stop - begin, *fresh);
    to.pages[number] = std::move(fresh);
  }
  to.size = std::max(to.size, end);
}

SimBytes SimContent::keep_random_sectors(Prng& random) const {
  SimBytes result = durable_;
  std::map<uint64_t, std::vector<std::pair<const Change*, SimPageRef>>> versions;
  for (const Change& change : unsynced_) {
    for (const auto& [number, page] : change.pages) versions[number].emplace_back(&change, page);
  }
  for (const auto& [number, pages] : versions) {
    auto mixed = std::make_shared<SimPage>();
    for (uint64_t sector = 0; sector < kSectorsPerPage; ++sector) {
      const uint64_t at = sector * kSimSectorBytes;
      std::vector<SimPageRef> choices{durable_.page(number)};
      for (const auto& [change, page] : pages) {
        if (overlap(change->offset, change->length, number * kSimPageBytes + at, kSimSectorBytes)) {
          choices.push_back(page);
        }
      }
      copy_bytes(choices[random.below(choices.size())], at, kSimSectorBytes, *mixed);
    }
    result.pages[number] = std::move(mixed);
  }
  const uint64_t pick = random.below(unsynced_.size() + 1);
  // Cut from the greatest size it ever had, so that nothing stays hidden beyond the end.
  for (const Change& change : unsynced_) result.size = std::max(result.size, change.size_after);
  result.truncate(pick == 0 ? durable_.size : unsynced_[pick - 1].size_after);
  return result;
}

SimBytes SimContent::keep_torn(const SimTear& tear, Prng& random) const {
  SimBytes result = durable_;
  for (const Change& change : unsynced_) {
    if (change.operation < tear.operation) {
      apply(change, result);
    } else if (change.operation == tear.operation && change.divisible) {
      const uint64_t first = change.offset / tear.granularity + 1;
      const uint64_t last = (change.offset + change.length) / tear.granularity;
      // A boundary inside the write, or none of it where there is no such boundary.
      if (first > last) continue;
      apply_prefix(change, random.between(first, last) * tear.granularity, result);
    }
  }
  return result;
}

}  // namespace multiraft::env
