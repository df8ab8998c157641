// Compares what two ways of reading the same log have come to.

#include <algorithm>

#include "log/recovery.h"

namespace multiraft::log {
namespace {

std::string difference(const GroupState& one, const GroupState& other) {
  if (one.replica() != other.replica()) return "its replica";
  if (one.hard_state() != other.hard_state()) return "its hard state";
  if (one.mark() != other.mark()) return "where its log starts";
  const auto announced = one.announced_install();
  const auto announced_other = other.announced_install();
  if (!announced != !announced_other || (announced && *announced != *announced_other)) {
    return "its announced snapshot";
  }
  const LogIndex first = one.first_index();
  const LogIndex end = one.last_index() + 1;
  if (first != other.first_index() || end != other.last_index() + 1) return "its range of entries";
  if (one.bytes() != other.bytes()) return "the size of its entries";
  if (one.conf_change_indexes(first, end) != other.conf_change_indexes(first, end)) {
    return "its configuration changes";
  }
  for (LogIndex i = first; i < end; ++i) {
    if (*one.term(i) != *other.term(i)) return "the term of entry " + to_string(i);
  }
  return "";
}

}  // namespace

std::string difference(const GroupMap& one, const GroupMap& other) {
  std::vector<GroupId> ids;
  for (const auto& [id, group] : one) ids.push_back(id);
  for (const auto& [id, group] : other) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (GroupId id : ids) {
    const auto a = one.find(id);
    const auto b = other.find(id);
    if (a == one.end() || b == other.end()) return "whether group " + to_string(id) + " exists";
    const std::string what = difference(*a->second, *b->second);
    if (!what.empty()) return "group " + to_string(id) + ": " + what;
  }
  return "";
}

}  // namespace multiraft::log
