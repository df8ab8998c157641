#pragma once
// Fills one page of a scan: where it ends and where the next one goes on, alike in both engines.

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "kv/kv_engine.h"

namespace multiraft::kv {

class PageBuilder {
 public:
  explicit PageBuilder(const ScanRequest& request)
      : items_max_(std::max<size_t>(request.items_max, 1)),
        bytes_max_(request.bytes_max),
        reverse_(request.reverse) {}

  /// False: the page is full, and the next one starts with this key.
  bool has_room_for(std::string_view key) {
    const auto& items = page_.items;
    if (items.empty() || (items.size() < items_max_ && bytes_ < bytes_max_)) return true;
    // `end` is exclusive, `start` is not: backwards the next page ends with the last key of this.
    page_.next = reverse_ ? items.back().key : std::string(key);
    return false;
  }
  void add(std::string_view key, SharedBytes value, LogIndex modified_index) {
    bytes_ += key.size() + value.size();
    page_.items.push_back({std::string(key), std::move(value), modified_index});
  }
  ScanPage take() { return std::move(page_); }

 private:
  size_t items_max_;
  size_t bytes_max_;
  bool reverse_;
  size_t bytes_ = 0;
  ScanPage page_;
};

}  // namespace multiraft::kv
