#pragma once
// A view of immutable bytes that keeps the buffer it points into alive.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace multiraft {

/// An immutable, reference-counted slice. Copying costs one atomic increment and never copies the
/// bytes: a value is received into one buffer and then shared by the log, the messages to other
/// members and the state machine. Safe to copy and read from any thread.
///
/// A slice keeps its whole buffer alive. Whoever stores one for longer than it takes to handle what
/// it came with stores trimmed() and counts memory_bytes(): 30 bytes of a received frame would
/// otherwise hold 1 MiB that nobody has counted.
class SharedBytes {
 public:
  SharedBytes() = default;
  /// Copies.
  static SharedBytes copy_of(std::string_view bytes);
  /// A new buffer of `size` bytes which `fill` receives to write into: fill(char* data).
  template <class Fill>
  static SharedBytes make(size_t size, Fill&& fill) {
    SharedBytes b = allocate(size);
    fill(const_cast<char*>(b.data_));
    return b;
  }
  /// A writable buffer of fresh bytes. The caller writes before it shares.
  static SharedBytes allocate(size_t size);

  SharedBytes(const SharedBytes& other) noexcept
      : block_(other.block_), data_(other.data_), size_(other.size_) {
    if (block_) block_->refs.fetch_add(1, std::memory_order_relaxed);
  }
  SharedBytes(SharedBytes&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  SharedBytes& operator=(SharedBytes other) noexcept {
    std::swap(block_, other.block_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~SharedBytes() { release(); }

  const char* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }
  operator std::string_view() const { return view(); }

  /// A part of this slice on the same buffer; offset + size <= this->size().
  SharedBytes slice(size_t offset, size_t size) const;
  /// This slice where it is at least half of its buffer, else the same bytes in a buffer of their
  /// own: what the result keeps alive is at most twice what it shows.
  SharedBytes trimmed() &&;
  SharedBytes trimmed() const& { return SharedBytes(*this).trimmed(); }
  /// Memory that this slice keeps alive: its whole buffer, as the allocator rounds it.
  size_t memory_bytes() const { return block_ ? allocated_bytes(block_->size) : 0; }
  /// No other slice shares the buffer.
  bool sole_owner() const { return !block_ || block_->refs.load(std::memory_order_acquire) == 1; }
  /// Write access for the sole owner that has just allocated the buffer.
  char* mutable_data() { return const_cast<char*>(data_); }

  friend bool operator==(const SharedBytes& a, const SharedBytes& b) {
    return a.view() == b.view();
  }

 private:
  struct Block {
    std::atomic<uint32_t> refs;
    uint32_t size;  ///< Bytes behind this header.
  };
  /// What the allocator takes for a block with its header: its own 8 bytes, in steps of 16.
  static constexpr size_t allocated_bytes(size_t size) {
    return (sizeof(Block) + size + 8 + 15) / 16 * 16;
  }
  void release() noexcept;

  Block* block_ = nullptr;
  const char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace multiraft
