#include "service/redirect_order.h"

#include <algorithm>
#include <utility>

namespace multiraft::service {
namespace {

/// A live node is heard from several times in this time, wherever there is a connection in use.
constexpr int64_t kHeardWithinNs = 3 * env::kSecond;
/// How long a failure counts. Without traffic to a node nobody tries it again, so that it may be
/// back unnoticed.
constexpr int64_t kDeadForNs = 10 * env::kSecond;

enum class Rank : uint8_t { kAlive, kUnknown, kFailedBefore, kDead };

Rank rank_of(const nodes::Contact& contact, env::MonotonicTime now) {
  if (contact.alive(now, kHeardWithinNs)) return Rank::kAlive;
  if (contact.connected || contact.last_failed.ns == INT64_MIN) return Rank::kUnknown;
  return now - contact.last_failed <= kDeadForNs ? Rank::kDead : Rank::kFailedBefore;
}

}  // namespace

std::vector<MemberAddress> order_for_redirect(std::vector<MemberAddress> members,
                                              const std::function<nodes::Contact(NodeId)>& contact,
                                              env::MonotonicTime now, uint64_t turn,
                                              NodeId leader) {
  if (members.empty()) return members;
  const auto first = static_cast<std::ptrdiff_t>(turn % members.size());
  std::rotate(members.begin(), members.begin() + first, members.end());
  std::vector<std::pair<Rank, MemberAddress>> ranked;
  for (MemberAddress& member : members) {
    const Rank rank = rank_of(contact(member.node), now);
    if (rank != Rank::kDead) ranked.emplace_back(rank, std::move(member));
  }
  std::stable_sort(ranked.begin(), ranked.end(), [&](const auto& a, const auto& b) {
    const bool a_leads = leader && a.second.node == leader;
    const bool b_leads = leader && b.second.node == leader;
    return a_leads != b_leads ? a_leads : a.first < b.first;
  });
  members.clear();
  for (auto& [rank, member] : ranked) members.push_back(std::move(member));
  return members;
}

}  // namespace multiraft::service
