#pragma once
// Marks in rare branches that prove that tests reach them. A mark costs one relaxed increment.

#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

namespace multiraft {

/// One mark in the source; registers itself on first execution of its line.
class CoverageMark {
 public:
  explicit CoverageMark(const char* name);
  void hit() { hits_.fetch_add(1, std::memory_order_relaxed); }
  std::string_view name() const { return name_; }
  uint64_t hits() const { return hits_.load(std::memory_order_relaxed); }

  struct Count {
    std::string_view name;
    uint64_t hits;
  };
  /// All marks reached so far in this process, by name.
  static std::vector<Count> all();
  /// How often the named mark was reached; 0 if never.
  static uint64_t hits_of(std::string_view name);

 private:
  const char* name_;
  std::atomic<uint64_t> hits_{0};
};

}  // namespace multiraft

#define MR_COVERAGE(name)                            \
  do {                                               \
    static ::multiraft::CoverageMark mr_mark_(name); \
    mr_mark_.hit();                                  \
  } while (false)
