#include "nodes/contact_table.h"

namespace multiraft::nodes {
namespace {

void raise(std::atomic<int64_t>& value, int64_t to) {
  int64_t before = value.load(std::memory_order_relaxed);
  while (before < to && !value.compare_exchange_weak(before, to, std::memory_order_relaxed)) {
  }
}

}  // namespace

void ContactTable::Entry::opened(env::MonotonicTime now, uint64_t incarnation) {
  connections_.fetch_add(1, std::memory_order_relaxed);
  incarnation_.store(incarnation, std::memory_order_relaxed);
  heard(now);
}

void ContactTable::Entry::closed(env::MonotonicTime now) {
  connections_.fetch_sub(1, std::memory_order_relaxed);
  failed(now);
}

void ContactTable::Entry::heard(env::MonotonicTime now) { raise(last_heard_ns_, now.ns); }

void ContactTable::Entry::failed(env::MonotonicTime now) { raise(last_failed_ns_, now.ns); }

Contact ContactTable::Entry::read() const {
  Contact contact;
  contact.connected = connections_.load(std::memory_order_relaxed) > 0;
  contact.last_heard = {last_heard_ns_.load(std::memory_order_relaxed)};
  contact.last_failed = {last_failed_ns_.load(std::memory_order_relaxed)};
  contact.incarnation = incarnation_.load(std::memory_order_relaxed);
  return contact;
}

std::shared_ptr<ContactTable::Entry> ContactTable::entry(NodeId node) {
  MutexLock lock(mutex_);
  std::shared_ptr<Entry>& entry = entries_[node.value];
  if (!entry) entry = std::make_shared<Entry>();
  return entry;
}

Contact ContactTable::contact(NodeId node) const {
  MutexLock lock(mutex_);
  const auto found = entries_.find(node.value);
  return found == entries_.end() ? Contact{} : found->second->read();
}

void ContactTable::forget(NodeId node) {
  MutexLock lock(mutex_);
  entries_.erase(node.value);
}

}  // namespace multiraft::nodes
