#include "linearizability/checker.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/assert.h"

namespace multiraft::linearizability {
namespace {

using StateId = uint32_t;
using OpIndex = uint32_t;
constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();

/// A compare-and-set that ran and is known to have changed nothing.
bool found_another(const Operation& op) {
  return op.kind == OpKind::kCas && op.outcome == Outcome::kOk && !op.swapped;
}

/// What the answers of one key tell about its contents.
class Evidence {
 public:
  explicit Evidence(const std::vector<const Operation*>& operations) {
    for (const Operation* op : operations) {
      if (op->kind == OpKind::kAppend) can_grow_ = true;
      if (op->kind == OpKind::kCas) values_.insert(op->expected);
      if (found_another(*op)) sees_absence_ = true;
      if (op->kind == OpKind::kRead && op->outcome == Outcome::kOk) values_.insert(op->value);
    }
  }

  /// Whether some answer sees this content, or one that can grow out of it.
  bool mentions(const Value& content) const {
    if (!can_grow_ || values_.contains(content)) return values_.contains(content);
    const auto it = values_.lower_bound(Value(content.value_or("")));
    return it != values_.end() && (*it)->starts_with(content.value_or(""));
  }
  /// Whether somebody can tell that `write` happened. If nobody can, the history is explained with
  /// it exactly if it is explained without it.
  bool can_show(const Operation& write) const {
    // A compare that failed tells apart two contents that nothing else mentions; an append shows
    // what it grew on.
    return sees_absence_ || can_grow_ || values_.contains(write.value);
  }

 private:
  std::set<Value> values_;
  bool can_grow_ = false;
  bool sees_absence_ = false;
};

/// The contents that a key can take, each with a small number, so that the search compares numbers.
/// All contents that no answer mentions behave alike from then on and share one number; otherwise
/// concurrent appends before a write would count in every order.
class States {
 public:
  explicit States(const Evidence& evidence) : evidence_(evidence) {}

  /// The state of a key with this content.
  StateId content(const Value& value) {
    return evidence_.mentions(value) ? intern(value) : kUnmentioned;
  }
  /// A number for the value as such, whether mentioned or not.
  StateId intern(const Value& value) {
    const auto [it, is_new] = ids_.try_emplace(value, static_cast<StateId>(values_.size()));
    if (is_new) values_.push_back(&it->first);
    return it->second;
  }
  /// Not for kUnmentioned.
  const Value& value(StateId id) const { return *values_[id]; }

  static constexpr StateId kUnmentioned = std::numeric_limits<StateId>::max();

 private:
  struct Hash {
    size_t operator()(const Value& v) const { return v ? std::hash<std::string>()(*v) : 1; }
  };
  const Evidence& evidence_;
  std::unordered_map<Value, StateId, Hash> ids_;  // Node based: values_ points into it.
  std::vector<const Value*> values_;
};

/// An operation as the search sees it.
struct Step {
  const Operation* operation;
  OpKind kind;
  bool definite;         ///< It returned, so it must find its place.
  bool observer;         ///< It never changes the state; it is only possible in some.
  StateId value = 0;     ///< The state that it reads or makes; of an append the bare value.
  StateId expected = 0;  ///< kCas only.
  /// The next earlier step of unknown outcome that does exactly the same, or kNone.
  OpIndex twin = kNone;
};

/// The visited configurations: which operations are done, and the state. Definite steps are done
/// nearly in the order of their calls, so only the words between the first open one and the last
/// done one are stored; steps of unknown outcome stay open for long and have words of their own.
class Visited {
 public:
  /// True if it is new. `words` is the whole encoding.
  bool insert(std::span<const uint64_t> words) {
    const size_t begin = arena_.size();
    arena_.insert(arena_.end(), words.begin(), words.end());
    const Slice slice{begin, words.size()};
    if (set_.insert(slice).second) return true;
    arena_.resize(begin);
    return false;
  }
  size_t size() const { return set_.size(); }

 private:
  struct Slice {
    size_t begin;
    size_t length;
  };
  struct Hash {
    const std::vector<uint64_t>* arena;
    size_t operator()(const Slice& s) const {
      uint64_t h = s.length;
      for (size_t i = 0; i < s.length; ++i) {
        h = (h ^ (*arena)[s.begin + i]) * 0x9e3779b97f4a7c15ULL;
        h ^= h >> 29;
      }
      return h;
    }
  };
  struct Equal {
    const std::vector<uint64_t>* arena;
    bool operator()(const Slice& a, const Slice& b) const {
      const auto first = arena->begin() + static_cast<ptrdiff_t>(a.begin);
      return a.length == b.length && std::equal(first, first + static_cast<ptrdiff_t>(a.length),
                                                arena->begin() + static_cast<ptrdiff_t>(b.begin));
    }
  };

  std::vector<uint64_t> arena_;
  absl::flat_hash_set<Slice, Hash, Equal> set_{0, Hash{&arena_}, Equal{&arena_}};
};

/// The search over the operations of one key.
class KeySearch {
 public:
  KeySearch(const std::vector<const Operation*>& operations, const Value& initial,
            size_t configurations_max)
      : configurations_max_(configurations_max),
        evidence_(operations),
        states_(evidence_),
        state_(states_.content(initial)) {
    add_steps(operations);
    link_events();
  }

  Verdict run();
  std::string explain() const;
  size_t configurations() const { return visited_.size(); }

 private:
  struct Event {
    OpIndex step;
    bool is_call;
    uint32_t previous;
    uint32_t next;
  };
  /// One decision on the current path.
  struct Frame {
    OpIndex step;
    StateId state_before;
    bool forced;  ///< There was no alternative; going back passes over it.
  };

  void add_steps(const std::vector<const Operation*>& operations);
  void link_events();
  std::optional<StateId> apply(const Step& step, StateId state);
  StateId append(StateId state, StateId suffix);

  void do_step(OpIndex index, StateId next, bool forced);
  OpIndex undo_step();
  void unlink(uint32_t event);
  void relink(uint32_t event);
  void force_observers();
  OpIndex find_hopeless_read();
  bool leads_to(StateId from, StateId goal, std::span<const OpIndex> window) const;
  bool mark_visited(OpIndex index, StateId next);
  uint32_t go_back();
  void remember_if_farthest(OpIndex blocker);

  const size_t configurations_max_;
  const Evidence evidence_;
  States states_;
  StateId state_;
  std::vector<Step> steps_;  // Definite ones first, each part in the order of the calls.
  OpIndex definite_count_ = 0;
  OpIndex definite_open_ = 0;

  std::vector<Event> events_;  // events_[0] is the head of the list of open events.
  std::vector<uint32_t> call_event_;
  std::vector<uint32_t> return_event_;

  std::vector<uint64_t> done_;  // A bit a step; the unknown ones begin at a word of their own.
  size_t unknown_word_ = 0;
  Visited visited_;
  std::vector<uint64_t> scratch_;
  std::vector<OpIndex> window_;
  absl::flat_hash_map<uint64_t, StateId> appended_;
  std::vector<Frame> path_;

  std::vector<Frame> farthest_path_;
  StateId farthest_state_ = 0;
  OpIndex farthest_blocker_ = kNone;
  OpIndex farthest_definite_done_ = 0;

  size_t bit_of(OpIndex index) const {
    return index < definite_count_ ? index : unknown_word_ * 64 + (index - definite_count_);
  }
  bool is_done(OpIndex index) const {
    const size_t bit = bit_of(index);
    return (done_[bit / 64] >> (bit % 64) & 1) != 0;
  }
  void flip(OpIndex index) {
    const size_t bit = bit_of(index);
    done_[bit / 64] ^= uint64_t{1} << (bit % 64);
  }
};

void KeySearch::add_steps(const std::vector<const Operation*>& operations) {
  std::vector<const Operation*> definite;
  std::vector<const Operation*> unknown;
  for (const Operation* op : operations) {
    if (op->outcome == Outcome::kOk) {
      definite.push_back(op);
    } else if (op->outcome == Outcome::kUnknown && op->kind != OpKind::kRead &&
               evidence_.can_show(*op)) {
      unknown.push_back(op);
    }
  }
  const auto by_call = [](const Operation* a, const Operation* b) {
    return a->call_ns < b->call_ns;
  };
  std::stable_sort(definite.begin(), definite.end(), by_call);
  std::stable_sort(unknown.begin(), unknown.end(), by_call);

  definite_count_ = definite_open_ = static_cast<OpIndex>(definite.size());
  unknown_word_ = (definite.size() + 63) / 64;
  done_.resize(unknown_word_ + (unknown.size() + 63) / 64);

  std::map<std::tuple<OpKind, StateId, StateId>, OpIndex> latest_twin;
  definite.insert(definite.end(), unknown.begin(), unknown.end());
  for (const Operation* op : definite) {
    const auto index = static_cast<OpIndex>(steps_.size());
    Step step{.operation = op,
              .kind = op->kind,
              .definite = index < definite_count_,
              .observer = op->kind == OpKind::kRead || found_another(*op),
              .value = op->kind == OpKind::kAppend ? states_.intern(op->value)
                                                   : states_.content(op->value),
              .expected = states_.intern(op->expected)};
    if (!step.definite) {
      const auto [it, is_new] =
          latest_twin.try_emplace({step.kind, step.value, step.expected}, index);
      if (!is_new) step.twin = std::exchange(it->second, index);
    }
    steps_.push_back(step);
  }
}

void KeySearch::link_events() {
  struct Point {
    int64_t time_ns;
    bool is_return;  // Calls sort before returns of the same time: touching means concurrent.
    OpIndex step;
  };
  std::vector<Point> points;
  for (OpIndex i = 0; i < steps_.size(); ++i) {
    const Operation& op = *steps_[i].operation;
    points.push_back({op.call_ns, false, i});
    // A step of unknown outcome has no return: nothing ever forces it.
    if (steps_[i].definite) points.push_back({std::max(op.call_ns, op.return_ns), true, i});
  }
  std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) {
    return std::tie(a.time_ns, a.is_return, a.step) < std::tie(b.time_ns, b.is_return, b.step);
  });

  const auto count = static_cast<uint32_t>(points.size());
  events_.push_back({kNone, true, count, count == 0 ? 0 : 1U});
  call_event_.resize(steps_.size(), kNone);
  return_event_.resize(steps_.size(), kNone);
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t event = i + 1;
    (points[i].is_return ? return_event_ : call_event_)[points[i].step] = event;
    events_.push_back({points[i].step, !points[i].is_return, i, event == count ? 0 : event + 1});
  }
}

StateId KeySearch::append(StateId state, StateId suffix) {
  if (state == States::kUnmentioned) return state;
  const uint64_t pair = (uint64_t{state} << 32) | suffix;
  if (const auto it = appended_.find(pair); it != appended_.end()) return it->second;
  const StateId result =
      states_.content(states_.value(state).value_or("") + states_.value(suffix).value_or(""));
  appended_.emplace(pair, result);
  return result;
}

/// The state after the step, or nothing where its answer contradicts the state. For a step of
/// unknown outcome the state itself means: it has no effect here.
std::optional<StateId> KeySearch::apply(const Step& step, StateId state) {
  switch (step.kind) {
    case OpKind::kRead:
      return step.value == state ? std::optional(state) : std::nullopt;
    case OpKind::kWrite:
      return step.value;
    case OpKind::kAppend:
      return append(state, step.value);
    case OpKind::kCas: {
      const bool matches = step.expected == state;
      if (!step.definite) return matches ? step.value : state;
      if (matches != step.operation->swapped) return std::nullopt;
      return matches ? step.value : state;
    }
  }
  MR_UNREACHABLE("OpKind");
}

void KeySearch::unlink(uint32_t event) {
  events_[events_[event].previous].next = events_[event].next;
  events_[events_[event].next].previous = events_[event].previous;
}

void KeySearch::relink(uint32_t event) {
  events_[events_[event].previous].next = event;
  events_[events_[event].next].previous = event;
}

void KeySearch::do_step(OpIndex index, StateId next, bool forced) {
  path_.push_back({index, state_, forced});
  flip(index);
  unlink(call_event_[index]);
  if (steps_[index].definite) {
    unlink(return_event_[index]);
    --definite_open_;
  }
  state_ = next;
}

/// Takes back the last step of the path; relinking in reverse order finds the neighbours unchanged.
OpIndex KeySearch::undo_step() {
  const Frame frame = path_.back();
  path_.pop_back();
  if (steps_[frame.step].definite) {
    relink(return_event_[frame.step]);
    ++definite_open_;
  }
  relink(call_event_[frame.step]);
  flip(frame.step);
  state_ = frame.state_before;
  return frame.step;
}

/// An observer that is possible now may as well happen now: moving it forward from any later place
/// changes nothing for the others. So there is no alternative to try.
void KeySearch::force_observers() {
  for (uint32_t event = events_[0].next; event != 0 && events_[event].is_call;) {
    const uint32_t next = events_[event].next;
    const OpIndex index = events_[event].step;
    if (steps_[index].observer && apply(steps_[index], state_)) {
      // The return stands behind all calls that this loop visits, or right behind the last one.
      do_step(index, state_, /*forced=*/true);
      event = events_[0].next;
      continue;
    }
    event = next;
  }
}

/// Whether `goal` may come out of `from` by steps of the window: a necessary condition, no more.
bool KeySearch::leads_to(StateId from, StateId goal, std::span<const OpIndex> window) const {
  if (from == goal) return true;
  const Value& target = states_.value(goal);
  const auto begins_target = [&](StateId state, std::string_view more) {
    if (state == States::kUnmentioned || !target) return false;
    const Value& value = states_.value(state);
    const std::string_view content = value ? std::string_view(*value) : std::string_view();
    return target->starts_with(content) && target->substr(content.size()).starts_with(more);
  };
  return std::any_of(window.begin(), window.end(), [&](OpIndex index) {
    const Step& step = steps_[index];
    if (step.observer) return false;
    if (step.kind == OpKind::kAppend) {
      return begins_target(from, states_.value(step.value).value_or(""));
    }
    return step.value == goal || begins_target(step.value, "");
  });
}

/// Looks ahead to the open read that returns first: only what is called before that can still bring
/// about what it saw. Without this, a burst of concurrent appends is tried in every order before
/// the read behind them refutes all but one. The read that cannot be reached any more, or kNone.
OpIndex KeySearch::find_hopeless_read() {
  constexpr size_t kEventsMax = 512;
  window_.clear();
  size_t count = 0;
  for (uint32_t event = events_[0].next; event != 0; event = events_[event].next) {
    if (++count > kEventsMax) return kNone;
    const OpIndex step = events_[event].step;
    if (events_[event].is_call) {
      window_.push_back(step);
    } else if (steps_[step].kind == OpKind::kRead) {
      return leads_to(state_, steps_[step].value, window_) ? kNone : step;
    }
  }
  return kNone;
}

/// True if the configuration after `index` has not been seen.

/// True if the configuration after `index` has not been seen.
bool KeySearch::mark_visited(OpIndex index, StateId next) {
  flip(index);
  size_t low = 0;
  while (low < unknown_word_ && done_[low] == ~uint64_t{0}) ++low;
  size_t high = unknown_word_;
  while (high > low && done_[high - 1] == 0) --high;
  scratch_.clear();
  scratch_.push_back((uint64_t{next} << 32) | low);
  const auto at = [this](size_t i) { return done_.begin() + static_cast<ptrdiff_t>(i); };
  scratch_.insert(scratch_.end(), at(unknown_word_), done_.end());
  scratch_.insert(scratch_.end(), at(low), at(high));
  flip(index);
  return visited_.insert(scratch_);
}

/// Back to the last decision that had alternatives; the event to go on from, or 0 for none.
uint32_t KeySearch::go_back() {
  while (!path_.empty()) {
    const bool forced = path_.back().forced;
    const OpIndex index = undo_step();
    if (!forced) return events_[call_event_[index]].next;
  }
  return 0;
}

/// Keeps the path that explains most, for a person: `blocker` is what it cannot explain.
void KeySearch::remember_if_farthest(OpIndex blocker) {
  const OpIndex done = definite_count_ - definite_open_;
  if (farthest_blocker_ != kNone && done <= farthest_definite_done_) return;
  farthest_blocker_ = blocker;
  farthest_definite_done_ = done;
  farthest_path_ = path_;
  farthest_state_ = state_;
}

Verdict KeySearch::run() {
  force_observers();
  uint32_t event = events_[0].next;
  while (definite_open_ > 0) {
    const Event& here = events_[event];
    // A return that is still open: whatever is called behind it comes too late for its operation.
    if (event == 0 || !here.is_call) {
      if (event != 0) remember_if_farthest(here.step);
      event = go_back();
      if (path_.empty() && event == 0) return Verdict::kNotLinearizable;
      continue;
    }
    const Step& step = steps_[here.step];
    const bool is_later_twin = step.twin != kNone && !is_done(step.twin);
    const std::optional<StateId> next =
        is_later_twin || step.observer ? std::nullopt : apply(step, state_);
    if (next && (step.definite || *next != state_) && mark_visited(here.step, *next)) {
      if (visited_.size() > configurations_max_) return Verdict::kUndecided;
      do_step(here.step, *next, /*forced=*/false);
      force_observers();
      const OpIndex hopeless = find_hopeless_read();
      if (hopeless != kNone) remember_if_farthest(hopeless);
      event = hopeless == kNone ? events_[0].next : go_back();
    } else {
      event = here.next;
    }
  }
  return Verdict::kLinearizable;
}

std::string KeySearch::explain() const {
  constexpr size_t kTailLines = 8;
  std::string text = "explained " + std::to_string(farthest_definite_done_) + " of " +
                     std::to_string(definite_count_) + " answered operations at most";
  if (farthest_blocker_ == kNone) return text;
  text += "; the last of them, in the order found:\n";
  const size_t begin = farthest_path_.size() > kTailLines ? farthest_path_.size() - kTailLines : 0;
  for (size_t i = begin; i < farthest_path_.size(); ++i) {
    text += "  " + steps_[farthest_path_[i].step].operation->to_string() + "\n";
  }
  if (farthest_state_ == States::kUnmentioned) {
    text += "then the content is one that no answer shows";
  } else {
    const Value& content = states_.value(farthest_state_);
    text += "then the content is " + (content ? "\"" + *content + "\"" : std::string("absent"));
  }
  return text + ", which does not lead to\n  " + steps_[farthest_blocker_].operation->to_string();
}

}  // namespace

CheckResult check(const History& history, const Options& options) {
  std::map<std::string_view, std::vector<const Operation*>> by_key;
  for (const Operation& op : history.operations) by_key[op.key].push_back(&op);

  CheckResult result;
  for (const auto& [key, operations] : by_key) {
    KeySearch search(operations, history.initial, options.configurations_max);
    const Verdict verdict = search.run();
    result.configurations += search.configurations();
    // A refutation of any key settles it; an undecided key only stands if no other is refuted.
    if (verdict == Verdict::kLinearizable) continue;
    if (verdict == Verdict::kUndecided && result.verdict == Verdict::kUndecided) continue;
    result.verdict = verdict;
    result.key = std::string(key);
    result.explanation = "key \"" + result.key + "\": " + search.explain();
    if (verdict == Verdict::kNotLinearizable) return result;
  }
  return result;
}

}  // namespace multiraft::linearizability
