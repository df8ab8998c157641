#include "ledger.h"

#include "base/crc32c.h"

namespace multiraft::sim {

size_t Ledger::issue(GroupId group, uint64_t through, size_t bytes) {
  const size_t number = puts_.size();
  Put put;
  put.group = group;
  put.through = through;
  put.key = "k" + std::to_string(number);
  put.value = "v" + std::to_string(number);
  if (put.value.size() < bytes) put.value.resize(bytes, static_cast<char>('a' + number % 26));
  puts_.push_back(std::move(put));
  return number;
}

void Ledger::sent(size_t number, std::string_view command) {
  puts_[number].checksum = crc32c(command);
}

std::string Ledger::acknowledged_at(size_t number, LogIndex index) {
  Put& put = puts_[number];
  put.outcome = Put::Outcome::kAcknowledged;
  const auto at = applied_.find({put.group, index});
  if (at == applied_.end())
    return "LOST " + put.key + ", acknowledged at index " + to_string(index) +
           ", where nobody has applied anything";
  if (at->second.checksum == put.checksum) return "";
  return "LOST " + put.key + ", acknowledged by the answer to another write: that of index " +
         to_string(index);
}

void Ledger::process_ended(uint64_t node) {
  for (Put& put : puts_) {
    if (put.through == node && put.outcome == Put::Outcome::kPending) {
      put.outcome = Put::Outcome::kUnknown;
    }
  }
}

std::vector<size_t> Ledger::acknowledged(GroupId group) const {
  std::vector<size_t> out;
  for (size_t i = 0; i < puts_.size(); ++i) {
    if (puts_[i].group == group && puts_[i].outcome == Put::Outcome::kAcknowledged) {
      out.push_back(i);
    }
  }
  return out;
}

std::string Ledger::check(GroupId group, const Content& content,
                          const std::vector<size_t>& must) const {
  for (size_t number : must) {
    if (!content.contains(puts_[number].key)) return "LOST " + puts_[number].key;
  }
  size_t known = 0;
  for (const Put& put : puts_) {
    const auto found = content.find(put.key);
    if (put.group != group || found == content.end()) continue;
    ++known;
    if (put.outcome == Put::Outcome::kRefused) return "INVENTED " + put.key + ", which was refused";
    if (found->second != put.value) return "INVENTED a value of " + put.key;
  }
  return known == content.size() ? "" : "INVENTED keys that nobody wrote";
}

std::string Ledger::applied(GroupId group, const Command& command) {
  const Applied now{command.term, crc32c(command.data)};
  const auto [at, fresh] = applied_.try_emplace({group, command.index}, now);
  mix(command.index.value);
  mix(now.checksum);
  if (fresh || (at->second.term == now.term && at->second.checksum == now.checksum)) return "";
  return "LOST the entry " + to_string(command.index) + " of group " + to_string(group) +
         ": another one is applied there";
}

std::string Ledger::leads(NodeId node, GroupId group, Term term) {
  const auto [at, fresh] = leaders_.try_emplace({group, term}, node);
  mix(node.value);
  mix(term.value);
  if (fresh || at->second == node) return "";
  return "TWO LEADERS of group " + to_string(group) + " in term " + to_string(term);
}

}  // namespace multiraft::sim
