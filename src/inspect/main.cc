// multiraft-log: looks at, checks, prints and repairs what a node has on disk.

#include <boost/json/serialize.hpp>

#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "env/posix/posix_env.h"
#include "inspect/read_only_files.h"
#include "inspect/report.h"
#include "state_dir/repair.h"

namespace multiraft::inspect {
namespace {

enum class Exit : int { kOk = 0, kDamage = 1, kUsage = 2, kRefused = 3, kDisk = 5 };

constexpr std::string_view kHelp =
    R"(multiraft-log COMMAND [-state_dir=DIR | PATH] [flags]

  inspect   what is there: the node, its logs with segments and groups, its snapshots
  verify    reads every byte and names every damaged place
  dump      every record of the logs, one a line
  repair    -from_peers: puts damaged replicas aside, so that the node joins again as new ones

PATH may be a state directory, a directory of segments, or one file (a segment, a snapshot,
a node file). The node must not run, unless -live is given: then what changes meanwhile
may look damaged. Nothing but repair writes anything.

  -o text|json   text (default) or JSON; dump: one JSON object per line
  -group=N -segment=N -from=INDEX -to=INDEX    dump: only these
  -yes           repair: do it; without it the plan is shown
  -live          look although a node runs

Exit status: 0 fine, 1 damage was found, 2 usage, 3 refused (in use, not a state directory),
5 the disk failed.
)";

struct Arguments {
  std::string command;
  std::string path;
  std::map<std::string, std::string> flags;

  bool has(const std::string& name) const { return flags.contains(name); }
};

Status usage(std::string message) {
  return {StatusCode::kInvalidArgument, std::move(message) + ". See multiraft-log -help"};
}

/// Flag -> whether it takes a value.
const std::map<std::string, bool, std::less<>> kFlags = {
    {"state_dir", true}, {"o", true},    {"group", true},       {"segment", true}, {"from", true},
    {"to", true},        {"yes", false}, {"from_peers", false}, {"live", false},   {"help", false}};

Result<Arguments> parse(int argc, char** argv) {
  Arguments out;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (!argument.starts_with('-') || argument.size() == 1) {
      std::string& target = out.command.empty() ? out.command : out.path;
      if (!target.empty())
        return usage("\"" + std::string(argument) + "\" is one argument too many");
      target = argument;
      continue;
    }
    const std::string_view body = argument.substr(argument.starts_with("--") ? 2 : 1);
    const size_t equals = body.find('=');
    std::string name(body.substr(0, equals));
    for (char& c : name) c = c == '-' ? '_' : c;
    const auto known = kFlags.find(name);
    if (known == kFlags.end()) return usage("unknown flag -" + name);
    if (!known->second) {
      if (equals != std::string_view::npos) return usage("-" + name + " takes no value");
      out.flags[name] = "true";
    } else if (equals != std::string_view::npos) {
      out.flags[name] = body.substr(equals + 1);
    } else if (i + 1 < argc) {
      out.flags[name] = argv[++i];
    } else {
      return usage("-" + name + " needs a value");
    }
  }
  if (out.has("help")) return out;
  if (out.has("state_dir")) {
    if (!out.path.empty()) return usage("give either -state_dir or a path");
    out.path = out.flags["state_dir"];
  }
  while (out.path.size() > 1 && out.path.back() == '/') out.path.pop_back();
  if (out.command.empty()) return usage("a command is missing");
  if (out.path.empty()) return usage("-state_dir or a path is missing");
  if (out.has("o") && out.flags["o"] != "text" && out.flags["o"] != "json") {
    return usage("-o is text or json");
  }
  return out;
}

Result<std::optional<uint64_t>> number(const Arguments& arguments, const std::string& name) {
  const auto found = arguments.flags.find(name);
  if (found == arguments.flags.end()) return std::optional<uint64_t>();
  const std::string& text = found->second;
  if (text.empty() || text.size() > 19 ||
      text.find_first_not_of("0123456789") != std::string::npos) {
    return usage("-" + name + "=" + text + " is no number");
  }
  return std::optional<uint64_t>(std::stoull(text));
}

int fail(const Status& status) {
  std::fprintf(stderr, "multiraft-log: %s\n", status.message().c_str());
  switch (status.code()) {
    case StatusCode::kIoError:
    case StatusCode::kNoSpace:
      return static_cast<int>(Exit::kDisk);
    default:
      return static_cast<int>(Exit::kRefused);
  }
}

void print(const boost::json::value& value, bool json) {
  const std::string text = json ? boost::json::serialize(value) + "\n" : to_text(value);
  std::fputs(text.c_str(), stdout);
}

/// Held while looking: what a running node changes would look damaged. Null where there is none.
Result<std::unique_ptr<env::FileLock>> hold(env::FileSystem& fs, const std::string& path) {
  const std::string file = path + "/LOCK";
  auto exists = fs.exists(file);
  if (!exists || !*exists) return std::unique_ptr<env::FileLock>();
  auto lock = fs.lock(file);
  if (lock) return lock;
  if (lock.status().code() != StatusCode::kUnavailable) {
    return std::unique_ptr<env::FileLock>();  // A read-only copy: nobody runs on it.
  }
  return Status(StatusCode::kUnavailable,
                lock.status().message() + ". Stop the node first, or look with -live");
}

int report(env::Environment& env, const Arguments& arguments, Depth depth) {
  ReadOnlyFiles files(env.file_system());
  auto report = report_on(files, arguments.path, depth);
  if (!report) return fail(report.status());
  const auto format = arguments.flags.find("o");
  print(report->value, format != arguments.flags.end() && format->second == "json");
  return static_cast<int>(report->damages > 0 ? Exit::kDamage : Exit::kOk);
}

int run_dump(env::Environment& env, const Arguments& arguments) {
  DumpFilter filter;
  auto group = number(arguments, "group");
  auto segment = number(arguments, "segment");
  auto from = number(arguments, "from");
  auto to = number(arguments, "to");
  for (const auto* each : {&group, &segment, &from, &to}) {
    if (*each) continue;
    std::fprintf(stderr, "multiraft-log: %s\n", each->status().message().c_str());
    return static_cast<int>(Exit::kUsage);
  }
  if (*group) filter.group = GroupId(**group);
  filter.segment = *segment;
  if (*from) filter.from = LogIndex(**from);
  if (*to) filter.to = LogIndex(**to);
  const auto format = arguments.flags.find("o");
  const bool json = format != arguments.flags.end() && format->second == "json";
  ReadOnlyFiles files(env.file_system());
  auto damages = dump(files, arguments.path, filter, [json](const boost::json::value& line) {
    std::puts((json ? boost::json::serialize(line) : to_line(line)).c_str());
  });
  if (!damages) return fail(damages.status());
  return static_cast<int>(*damages > 0 ? Exit::kDamage : Exit::kOk);
}

void show(const state_dir::RepairPlan& plan, bool done) {
  std::printf("node %s of %s\n", to_string(plan.before.node).c_str(), plan.state_dir.c_str());
  for (const std::string& name : plan.moved) {
    std::printf("  %s %s -> %s\n", done ? "moved" : "would move", name.c_str(), plan.aside.c_str());
  }
  std::printf(
      "  the node keeps its number and its cluster; its replicas are given up, and new ones are\n"
      "  filled from the other members once it joins again\n");
  std::printf(
      "  then start it with the same flags and -join=%s\n",
      plan.peers.empty() ? "ADDRESS of any other node" : plan.peers.front().raft_address.c_str());
  if (!done) std::printf("nothing was changed: give -yes to do it\n");
}

int repair(env::Environment& env, const Arguments& arguments) {
  if (!arguments.has("from_peers")) {
    std::fprintf(stderr,
                 "multiraft-log: the only repair is -from_peers: what is damaged comes from the "
                 "other members\n");
    return static_cast<int>(Exit::kUsage);
  }
  auto plan = state_dir::plan_repair(env.file_system(), arguments.path);
  if (!plan) return fail(plan.status());
  const bool yes = arguments.has("yes");
  if (yes) {
    if (Status done = state_dir::apply_repair(env, *plan); !done) return fail(done);
  }
  show(*plan, yes);
  return static_cast<int>(Exit::kOk);
}

int run(int argc, char** argv) {
  auto arguments = parse(argc, argv);
  if (!arguments) {
    std::fprintf(stderr, "multiraft-log: %s\n", arguments.status().message().c_str());
    return static_cast<int>(Exit::kUsage);
  }
  if (arguments->has("help")) {
    std::fputs(std::string(kHelp).c_str(), stdout);
    return static_cast<int>(Exit::kOk);
  }
  const auto env = env::make_posix_environment();
  const std::string& command = arguments->command;
  if (command == "repair") return repair(*env, *arguments);
  if (command != "inspect" && command != "verify" && command != "dump") {
    std::fprintf(stderr, "multiraft-log: \"%s\" is no command. See multiraft-log -help\n",
                 command.c_str());
    return static_cast<int>(Exit::kUsage);
  }
  std::unique_ptr<env::FileLock> lock;
  if (!arguments->has("live")) {
    auto held = hold(env->file_system(), arguments->path);
    if (!held) return fail(held.status());
    lock = std::move(*held);
  }
  if (command == "dump") return run_dump(*env, *arguments);
  return report(*env, *arguments, command == "verify" ? Depth::kVerify : Depth::kSummary);
}

}  // namespace
}  // namespace multiraft::inspect

int main(int argc, char** argv) { return multiraft::inspect::run(argc, argv); }
