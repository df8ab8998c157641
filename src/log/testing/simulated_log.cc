#include "log/testing/simulated_log.h"

#include <algorithm>
#include <limits>

#include "base/assert.h"
#include "log/recovery.h"
#include "raft/conf_change.h"
#include "raft/entry_checksum.h"

namespace multiraft::log {
namespace {

constexpr const char* kDirectory = "/log";

std::string describe(const ModelGroup& g) {
  return "replica " + to_string(g.replica) + ", term " + to_string(g.hard_state.term) + ", vote " +
         to_string(g.hard_state.vote) + ", commit " + to_string(g.hard_state.commit) + ", mark " +
         to_string(g.mark.index) + "@" + to_string(g.mark.term) + ", announced " +
         (g.announced ? to_string(g.announced->index) : "none") + ", last " +
         std::to_string(g.last_index()) + ", entries " + std::to_string(g.entries.size());
}

/// A configuration change of `data`'s size, if that is large enough for one, with it as its
/// context.
SharedBytes conf_change_with(std::string_view data, raft::EntryType type) {
  raft::ConfChange change;
  change.v1 = type == raft::EntryType::kConfChange;
  change.changes = {{raft::ConfChangeOp::kAddLearner, ReplicaId(77)}};
  const size_t overhead = raft::encode_conf_change(change).size();
  if (data.size() > overhead) {
    change.context = SharedBytes::copy_of(data.substr(0, data.size() - overhead));
  }
  return raft::encode_conf_change(change);
}

}  // namespace

void model_append(ModelGroup& group, const GroupAppend& append) {
  if (append.hard_state) group.hard_state = *append.hard_state;
  if (append.snapshot) {
    group.entries.clear();
    group.mark = *append.snapshot;
    group.announced.reset();
  }
  if (append.entries.empty()) return;
  group.entries.erase(group.entries.lower_bound(append.entries.front().index.value),
                      group.entries.end());
  for (const raft::Entry& entry : append.entries) group.entries[entry.index.value] = entry;
}

void model_compact(ModelGroup& group, const raft::Snapshot& mark) {
  if (mark.index <= group.mark.index) return;
  group.entries.erase(group.entries.begin(), group.entries.upper_bound(mark.index.value));
  group.mark = mark;
  if (group.announced && group.announced->index <= mark.index) group.announced.reset();
}

void model_announce(ModelGroup& group, const raft::Snapshot& snapshot) {
  group.announced = snapshot;
}

Status read_group(GroupLog& group, ModelGroup& read) {
  read.replica = group.replica();
  read.hard_state = group.initial_state().hard_state;
  read.mark = group.mark();
  if (group.announced_install()) read.announced = *group.announced_install();
  std::vector<LogIndex> conf_changes;
  // In small portions, so that reads that begin and end anywhere are exercised.
  for (LogIndex at = group.first_index(); at <= group.last_index();) {
    // Where they are not in memory they are read in the background as well: it is checked later
    // that what was read then still counts.
    auto entries = group.entries(at, group.last_index() + 1, 600);
    if (entries.status().code() == StatusCode::kUnavailable) {
      entries = group.entries_now(at, group.last_index() + 1, 600);
    }
    if (!entries) return entries.status();
    for (raft::Entry& entry : *entries) {
      Result<Term> term = group.term(entry.index);
      MR_ASSERT(term.is_ok() && *term == entry.term);
      MR_ASSERT(raft::is_intact(raft::group_checksum_seed(group.group()), entry));
      at = entry.index + 1;
      if (entry.type != raft::EntryType::kNormal) conf_changes.push_back(entry.index);
      const uint64_t index = entry.index.value;
      read.entries.emplace(index, std::move(entry));
    }
  }
  if (group.conf_change_indexes(group.first_index(), group.last_index() + 1) != conf_changes) {
    return {StatusCode::kInternal, "the listed configuration changes of group " +
                                       to_string(group.group()) + " are not those in its log"};
  }
  return Status::ok();
}

Result<Model> read_model(Log& log) {
  Model model;
  for (GroupId id : log.groups()) {
    MR_RETURN_IF_ERROR(read_group(*log.group(id), model[id.value]));
  }
  return model;
}

std::string difference(const Model& expected, const Model& actual) {
  for (const auto& [id, group] : expected) {
    const auto found = actual.find(id);
    if (found == actual.end()) return "group " + std::to_string(id) + " is missing";
    // A log reports a commit index and term not below its mark.
    ModelGroup wanted = group;
    wanted.hard_state.commit = std::max(wanted.hard_state.commit, wanted.mark.index);
    wanted.hard_state.term = std::max(wanted.hard_state.term, wanted.mark.term);
    if (!(wanted == found->second)) {
      return "group " + std::to_string(id) + ": expected " + describe(wanted) + "; is " +
             describe(found->second);
    }
  }
  for (const auto& [id, group] : actual) {
    if (!expected.contains(id)) return "group " + std::to_string(id) + " should not exist";
  }
  return "";
}

raft::Snapshot snapshot_at(uint64_t index, uint64_t term) {
  raft::Snapshot snapshot;
  snapshot.index = LogIndex(index);
  snapshot.term = Term(term);
  snapshot.conf_state.voters = {ReplicaId(1), ReplicaId(2), ReplicaId(3 + index)};
  return snapshot;
}

std::vector<raft::Entry> make_entries(uint64_t first, uint64_t count, uint64_t term,
                                      size_t data_bytes) {
  std::vector<raft::Entry> entries;
  for (uint64_t i = first; i < first + count; ++i) {
    std::string data = "entry " + std::to_string(i) + " of term " + std::to_string(term) + " ";
    while (data.size() < data_bytes) data += static_cast<char>('a' + (i + data.size()) % 26);
    data.resize(data_bytes);
    raft::EntryType type = raft::EntryType::kNormal;
    if (i % 7 == 3) type = raft::EntryType::kConfChangeV2;
    if (i % 11 == 5) type = raft::EntryType::kConfChange;
    SharedBytes bytes = SharedBytes::copy_of(data);
    if (type != raft::EntryType::kNormal) bytes = conf_change_with(data, type);
    entries.push_back({Term(term), LogIndex(i), type, std::move(bytes)});
  }
  return entries;
}

std::vector<raft::Entry> sealed(GroupId group, std::span<const raft::Entry> entries) {
  std::vector<raft::Entry> out(entries.begin(), entries.end());
  for (raft::Entry& entry : out) raft::seal(raft::group_checksum_seed(group), entry);
  return out;
}

LogHarness::LogHarness(uint64_t seed) : env_(std::make_unique<env::SimEnvironment>(seed)) {
  options.directory = kDirectory;
  options.segment_bytes = 64 * 1024;
  options.writer = WriterKind::kPwrite;
  // Only the newest segment is read in full: recovery by footers is what is tested; open() compares
  // it with a full scan.
  options.full_scan_bytes = 0;
  owner_ = env_->start_executor("owner");
}

LogHarness::~LogHarness() {
  env_->kill();
  log_.reset();
}

Status LogHarness::open() {
  MR_RETURN_IF_ERROR(open_unchecked());
  return compare_with_full_scan();
}

Status LogHarness::open_unchecked() {
  fatal_ = Status::ok();
  process_ = std::make_unique<KillableEnvironment>(*env_);
  process_->kill_switch().limit = std::exchange(kill_after_, std::numeric_limits<uint64_t>::max());
  auto opened = Log::open(options, *process_, *owner_, [this](Status status) { fatal_ = status; });
  if (!opened) return opened.status();
  log_ = std::move(*opened);
  return Status::ok();
}

Status LogHarness::compare_with_full_scan() {
  GroupContext context;
  GroupMap groups;
  Recovery recovery(env_->file_system(), options.directory, std::numeric_limits<uint64_t>::max(),
                    context, groups);
  Result<RecoveredLog> scanned = recovery.run();
  if (!scanned) return scanned.status();
  GroupContext footer_context;
  GroupMap by_footers;
  Recovery by_footer(env_->file_system(), options.directory, 0, footer_context, by_footers);
  Result<RecoveredLog> read_by_footer = by_footer.run();
  if (!read_by_footer) return read_by_footer.status();
  if (std::string what = log::difference(groups, by_footers); !what.empty()) {
    return {StatusCode::kInternal, "footers and records disagree in " + what};
  }
  Result<Model> read = read_model(*log_);
  if (!read) return read.status();
  Model full;
  for (auto& [id, group] : groups) {
    MR_RETURN_IF_ERROR(read_group(*group, full[id.value]));
  }
  const std::string wrong = difference(full, *read);
  if (wrong.empty()) return Status::ok();
  return {StatusCode::kInternal, "footers and records disagree: " + wrong};
}

void LogHarness::crash(env::CrashMode mode, uint64_t seed) {
  auto image = env_->disk().crash_image(mode, seed);
  env_->kill();
  log_.reset();
  owner_.reset();
  env_ = std::make_unique<env::SimEnvironment>(seed + 1);
  env_->set_disk(std::move(image));
  owner_ = env_->start_executor("owner");
}

Status LogHarness::crash_and_open(env::CrashMode mode, uint64_t seed) {
  crash(mode, seed);
  return open();
}

Status LogHarness::kill_and_open() {
  process_->kill_switch().limit = 0;
  log_.reset();
  return open();
}

void LogHarness::close() {
  if (!log_) return;
  log_->close();
  log_.reset();
}

bool LogHarness::alive() const { return log_ && fatal_; }

void LogHarness::start_history() {
  keep_history_ = true;
  history_ = {model_};
  durable_history_ = 0;
}

void LogHarness::note() {
  if (keep_history_) history_.push_back(model_);
}

/// To be called after note().
Callback<void()> LogHarness::count_durable() {
  const size_t number = ++staged_;
  const size_t state = history_.empty() ? 0 : history_.size() - 1;
  return [this, number, state] {
    MR_ASSERT(durable_ < number);  // Callbacks come in the order of staging.
    durable_ = number;
    durable_history_ = state;
  };
}

std::string LogHarness::check_prefix() {
  Result<Model> read = read_model(*log_);
  if (!read) return read.status().to_string();
  std::string newest;
  for (size_t state = history_.size(); state-- > durable_history_;) {
    std::string wrong = difference(history_[state], *read);
    if (wrong.empty()) {
      model_ = history_[state];
      if (keep_history_) start_history();
      return "";
    }
    if (newest.empty()) newest = wrong;
  }
  return "none of the states " + std::to_string(durable_history_) + " to " +
         std::to_string(history_.size() - 1) + "; the newest: " + newest +
         "; the durable one: " + difference(history_[durable_history_], *read);
}

std::string LogHarness::differs_from_history(const Model& state) const {
  std::string wrong = "no history";
  for (const Model& model : history_) {
    wrong = difference(model, state);
    if (wrong.empty()) break;
  }
  return wrong;
}

size_t LogHarness::append(GroupId group, const GroupAppend& append) {
  if (!alive()) return ++staged_;
  const std::vector<raft::Entry> entries = sealed(group, append.entries);
  GroupAppend record = append;
  record.entries = entries;
  model_append(model_[group.value], record);
  note();
  log_->stage(record, count_durable());
  return staged_;
}

size_t LogHarness::append(uint64_t group, uint64_t first, uint64_t count, uint64_t term,
                          size_t data_bytes) {
  const auto entries = make_entries(first, count, term, data_bytes);
  GroupAppend record{GroupId(group), {}, nullptr, entries, true};
  return append(GroupId(group), record);
}

size_t LogHarness::save_state(uint64_t group, const raft::HardState& state, bool must_sync) {
  GroupAppend record{GroupId(group), state, nullptr, {}, must_sync};
  if (!alive()) return ++staged_;
  model_append(model_[group], record);
  note();
  log_->stage(record, must_sync ? count_durable() : Callback<void()>());
  return staged_;
}

size_t LogHarness::install(uint64_t group, const raft::Snapshot& snapshot) {
  GroupAppend record{GroupId(group),
                     raft::HardState{snapshot.term, ReplicaId(0), snapshot.index},
                     std::make_shared<raft::Snapshot>(snapshot),
                     {},
                     true};
  return append(GroupId(group), record);
}

void LogHarness::create(uint64_t group, uint64_t replica, const raft::Snapshot& mark) {
  if (!alive()) return;
  auto created = log_->create_group(GroupId(group), ReplicaId(replica), mark);
  MR_ASSERT(created.is_ok());
  model_[group] = ModelGroup{ReplicaId(replica), {}, mark, {}, {}};
  note();
}

void LogHarness::remove(uint64_t group) {
  if (!alive()) return;
  MR_ASSERT(log_->remove_group(GroupId(group), nullptr).is_ok());
  model_.erase(group);
  note();
}

void LogHarness::compact(uint64_t group, uint64_t index) {
  if (!alive()) return;
  GroupLog& log = *log_->group(GroupId(group));
  Result<Term> term = log.term(LogIndex(index));
  MR_ASSERT(term.is_ok());
  const raft::Snapshot mark = snapshot_at(index, term->value);
  model_compact(model_[group], mark);
  note();
  log_->compact(GroupId(group), mark);
}

void LogHarness::announce(uint64_t group, const raft::Snapshot& snapshot) {
  if (!alive()) return;
  model_announce(model_[group], snapshot);
  note();
  log_->announce_install(GroupId(group), snapshot, count_durable());
}

void LogHarness::flush_and_run() {
  if (!alive()) return;
  log_->flush();
  env_->run_until_idle();
}

void LogHarness::settle() {
  flush_and_run();
  if (alive()) env_->advance(env::kSecond);
}

Result<std::vector<raft::Entry>> LogHarness::read(uint64_t id, uint64_t low, uint64_t high) {
  for (;;) {
    auto entries = group(id).entries(LogIndex(low), LogIndex(high), SIZE_MAX);
    if (entries || entries.status().code() != StatusCode::kUnavailable) return entries;
    env_->run_until_idle();
    if (!fatal_) return fatal_;
  }
}

std::string LogHarness::check() {
  Result<Model> read = read_model(*log_);
  if (!read) return read.status().to_string();
  return difference(model_, *read);
}

std::vector<std::string> LogHarness::segment_files() {
  auto names = env_->file_system().list(kDirectory);
  MR_ASSERT(names.is_ok());
  std::vector<std::string> segments;
  for (const std::string& name : *names) {
    if (name.ends_with(".seg")) segments.push_back(name);
  }
  std::sort(segments.begin(), segments.end());
  return segments;
}

}  // namespace multiraft::log
