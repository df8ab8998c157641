#include "multiraft/bytes.h"

#include <cstring>
#include <new>

#include "base/assert.h"

namespace multiraft {

SharedBytes SharedBytes::allocate(size_t size) {
  SharedBytes b;
  if (size == 0) return b;
  MR_ASSERT(size <= UINT32_MAX);
  void* memory = ::operator new(sizeof(Block) + size);
  b.block_ = new (memory) Block{1, static_cast<uint32_t>(size)};
  b.data_ = static_cast<char*>(memory) + sizeof(Block);
  b.size_ = size;
  return b;
}

SharedBytes SharedBytes::copy_of(std::string_view bytes) {
  SharedBytes b = allocate(bytes.size());
  if (!bytes.empty()) std::memcpy(b.mutable_data(), bytes.data(), bytes.size());
  return b;
}

SharedBytes SharedBytes::slice(size_t offset, size_t size) const {
  MR_ASSERT(offset <= size_ && size <= size_ - offset);
  SharedBytes b;
  if (size == 0) return b;
  b = *this;
  b.data_ += offset;
  b.size_ = size;
  return b;
}

SharedBytes SharedBytes::trimmed() && {
  if (block_ && size_ < block_->size / 2) return copy_of(view());
  return std::move(*this);
}

void SharedBytes::release() noexcept {
  if (block_ && block_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    block_->~Block();
    ::operator delete(block_);
  }
}

}  // namespace multiraft
