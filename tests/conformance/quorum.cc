// Files of quorum arithmetic. Each question is answered in several redundant ways; where they
// disagree, extra lines say so.

#include <algorithm>
#include <cstdio>
#include <map>

#include "family.h"
#include "raft/id_set.h"
#include "raft/quorum.h"

namespace multiraft::conformance {
namespace {

using namespace multiraft::raft;  // The module under test.

using Indexes = std::map<ReplicaId, uint64_t>;

std::string index_text(uint64_t index) {
  return index == kEmptyMajority ? "∞" : std::to_string(index);
}

uint64_t committed(const ConfState& conf, const Indexes& indexes) {
  return quorum_index(conf, [&](ReplicaId id) {
    const auto at = indexes.find(id);
    return at == indexes.end() ? uint64_t{0} : at->second;
  });
}

/// By definition: the largest index that a majority has reached.
uint64_t naive_majority(const std::vector<ReplicaId>& voters, const Indexes& indexes) {
  if (voters.empty()) return kEmptyMajority;
  uint64_t best = 0;
  for (const auto& [candidate_id, candidate] : indexes) {
    size_t reached = 0;
    for (ReplicaId id : voters) {
      const auto at = indexes.find(id);
      if (at != indexes.end() && at->second >= candidate) ++reached;
    }
    if (reached >= voters.size() / 2 + 1) best = std::max(best, candidate);
  }
  return best;
}

std::string_view vote_text(VoteResult result) {
  switch (result) {
    case VoteResult::kPending:
      return "VotePending";
    case VoteResult::kLost:
      return "VoteLost";
    case VoteResult::kWon:
      return "VoteWon";
  }
  return "";
}

/// Who has reached what, as bars.
std::string chart(const std::vector<ReplicaId>& ids, const Indexes& indexes) {
  if (ids.empty()) return "<empty majority quorum>";
  struct Row {
    ReplicaId id;
    uint64_t index = 0;
    bool known = false;
    size_t bar = 0;
  };
  std::vector<Row> rows;
  for (ReplicaId id : ids) {
    const auto at = indexes.find(id);
    rows.push_back({id, at == indexes.end() ? 0 : at->second, at != indexes.end(), 0});
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.index != b.index ? a.index < b.index : a.id < b.id;
  });
  for (size_t i = 1; i < rows.size(); ++i) {
    rows[i].bar = rows[i].index > rows[i - 1].index ? i : rows[i - 1].bar;
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.id < b.id; });

  const size_t n = ids.size();
  std::string text = std::string(n + 4, ' ') + "idx\n";
  for (const Row& row : rows) {
    text += row.known ? std::string(row.bar, 'x') + ">" + std::string(n - row.bar, ' ')
                      : "?" + std::string(n, ' ');
    char tail[64];
    std::snprintf(tail, sizeof tail, " %5llu    (id=%llx)\n",
                  static_cast<unsigned long long>(row.index),
                  static_cast<unsigned long long>(row.id.value));
    text += tail;
  }
  return text;
}

class QuorumFamily final : public Family {
 public:
  std::string run(const Directive& directive) override {
    conf_ = {};
    order_.clear();
    joint_ = false;
    std::string error;
    if (!read_ids(directive.find("cfg"), conf_.voters, error)) return error;
    if (const Argument* second = directive.find("cfgj")) {
      joint_ = true;
      const bool zero = second->values.size() == 1 && second->values[0] == "zero";
      if (!zero && !read_ids(second, conf_.voters_outgoing, error)) return error;
    }
    if (directive.command == "committed") return run_committed(directive);
    if (directive.command == "vote") return run_vote(directive);
    return "unknown command";
  }

 private:
  bool read_ids(const Argument* argument, std::vector<ReplicaId>& half, std::string& error) {
    if (argument == nullptr) return true;
    for (const std::string& value : argument->values) {
      const auto number = parse_number(trim(value));
      if (!number) {
        error = "not an id: " + value;
        return false;
      }
      const ReplicaId id(*number);
      insert_id(half, id);
      if (std::find(order_.begin(), order_.end(), id) == order_.end()) order_.push_back(id);
    }
    return true;
  }

  std::vector<std::string> values(const Directive& directive, std::string_view name,
                                  std::string& error) const {
    const Argument* argument = directive.find(name);
    std::vector<std::string> out;
    if (argument != nullptr) {
      for (const std::string& value : argument->values) out.emplace_back(trim(value));
    }
    if (out.size() != order_.size()) {
      error = "error: mismatched input (" + std::to_string(out.size()) + " values) for voters (" +
              std::to_string(order_.size()) + ")";
    }
    return out;
  }

  std::string run_committed(const Directive& directive) {
    std::string error;
    const std::vector<std::string> given = values(directive, "idx", error);
    if (!error.empty()) return error;
    Indexes indexes;
    for (size_t i = 0; i < given.size(); ++i) {
      if (given[i] == "_") continue;
      const auto index = parse_number(given[i]);
      if (!index || *index == 0) return "error: not an index: " + given[i];
      indexes[order_[i]] = *index;
    }
    const uint64_t result = committed(conf_, indexes);
    std::vector<ReplicaId> all = order_;
    std::sort(all.begin(), all.end());
    return chart(all, indexes) + index_text(result) + "\n" + check_committed(indexes, result);
  }

  std::string check_committed(const Indexes& indexes, uint64_t result) const {
    std::string wrong;
    const auto expect = [&](uint64_t other, const char* what) {
      if (other != result) wrong += index_text(other) + " <-- " + what + "\n";
    };
    const ConfState swapped = half_pair(conf_.voters_outgoing, conf_.voters);
    expect(std::min(naive_majority(conf_.voters, indexes),
                    naive_majority(conf_.voters_outgoing, indexes)),
           "by definition");
    if (!conf_.voters_outgoing.empty()) expect(committed(swapped, indexes), "halves swapped");
    if (!joint_) {
      expect(committed(half_pair({}, conf_.voters), indexes), "joint with the empty half");
      expect(committed(half_pair(conf_.voters, conf_.voters), indexes), "joint with itself");
    }
    for (const auto& [id, index] : indexes) {
      if (index >= result) continue;
      Indexes lowered = indexes;
      for (const uint64_t lower_index : {index - 1, uint64_t{0}}) {
        lowered[id] = lower_index;
        expect(committed(conf_, lowered), "with a lower index below the result");
      }
    }
    return wrong;
  }

  std::string run_vote(const Directive& directive) {
    std::string error;
    const std::vector<std::string> given = values(directive, "votes", error);
    if (!error.empty()) return error;
    std::map<ReplicaId, int> votes;
    for (size_t i = 0; i < given.size(); ++i) {
      if (given[i] == "y") {
        votes[order_[i]] = 1;
      } else if (given[i] == "n") {
        votes[order_[i]] = -1;
      } else if (given[i] != "_") {
        return "error: not a vote: " + given[i];
      }
    }
    const auto outcome = [&](const ConfState& conf) {
      return quorum_vote(conf, [&](ReplicaId id) {
        const auto at = votes.find(id);
        return at == votes.end() ? 0 : at->second;
      });
    };
    const VoteResult result = outcome(conf_);
    std::string shown = std::string(vote_text(result)) + "\n";
    const auto expect = [&](VoteResult other, const char* what) {
      if (other != result) shown += std::string(vote_text(other)) + " <-- " + what + "\n";
    };
    expect(outcome(half_pair(conf_.voters_outgoing, conf_.voters)), "halves swapped");
    if (!joint_) expect(outcome(half_pair(conf_.voters, conf_.voters)), "joint with itself");
    return shown;
  }

  static ConfState half_pair(std::vector<ReplicaId> incoming, std::vector<ReplicaId> outgoing) {
    ConfState conf;
    conf.voters = std::move(incoming);
    conf.voters_outgoing = std::move(outgoing);
    return conf;
  }

  ConfState conf_;
  std::vector<ReplicaId> order_;
  bool joint_ = false;
};

}  // namespace

std::unique_ptr<Family> make_quorum() { return std::make_unique<QuorumFamily>(); }

}  // namespace multiraft::conformance
