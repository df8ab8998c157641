// multiraft-log: says what a stopped node's state directory holds and what in it is damaged.

#include <cstdio>
#include <string>
#include <string_view>

#include "env/posix/posix_env.h"
#include "inspect/state_report.h"

using namespace multiraft;

namespace {

enum Exit : int { kFine = 0, kDamaged = 1, kUsage = 2, kUnusable = 3, kDiskError = 5 };

constexpr const char* kHelp =
    "multiraft-log inspect|verify -state_dir=DIR [-o text|json]\n"
    "\n"
    "Reads the identity, every log and every kept snapshot of a stopped node. Changes nothing\n"
    "but the process number in DIR/LOCK.\n"
    "  inspect  says what is there, and what is damaged\n"
    "  verify   says only what is damaged\n"
    "Exit status: 0 no damage, 1 damage, 2 usage, 3 not a usable directory or in use,\n"
    "5 the disk failed.\n";

struct Arguments {
  std::string command;
  std::string state_dir;
  bool json = false;
  bool help = false;
};

int usage(const std::string& what) {
  std::fprintf(stderr, "multiraft-log: %s; see multiraft-log -help\n", what.c_str());
  return kUsage;
}

/// Empty, or what is wrong. Flags as in multiraft: one or two dashes, "-name=value" or "-name
/// value".
std::string parse(int argc, char** argv, Arguments& out) {
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    if (!word.starts_with('-')) {
      if (!out.command.empty()) return "more than one command";
      out.command = word;
      continue;
    }
    word.remove_prefix(word.starts_with("--") ? 2 : 1);
    std::string name(word.substr(0, word.find('=')));
    for (char& c : name) c = c == '-' ? '_' : c;
    if (name == "help") {
      out.help = true;
      continue;
    }
    if (name != "state_dir" && name != "o") return "unknown flag '" + std::string(argv[i]) + "'";
    std::string value;
    if (name.size() < word.size()) {
      value = word.substr(name.size() + 1);
    } else if (i + 1 < argc) {
      value = argv[++i];
    }
    if (value.empty()) return "-" + name + " needs a value";
    if (name == "state_dir") {
      out.state_dir = value;
    } else if (value == "json" || value == "text") {
      out.json = value == "json";
    } else {
      return "-o is text or json";
    }
  }
  return "";
}

int fail(const Status& status) {
  std::fprintf(stderr, "multiraft-log: %s\n", status.message().c_str());
  return status.code() == StatusCode::kIoError ? kDiskError : kUnusable;
}

int run(const Arguments& arguments) {
  auto env = env::make_posix_environment();
  env::FileSystem& files = env->file_system();
  // Locking makes the file where there is none: only in what is a state directory.
  Result<bool> is_node = files.exists(arguments.state_dir + "/node");
  if (!is_node) return fail(is_node.status());
  std::unique_ptr<env::FileLock> lock;
  if (*is_node) {
    auto locked = files.lock(arguments.state_dir + "/LOCK");
    if (!locked) return fail(locked.status());
    lock = std::move(*locked);
  }
  auto report = inspect::examine(files, arguments.state_dir);
  if (!report) return fail(report.status());
  if (arguments.command == "verify") {
    report->logs.clear();
    report->snapshots.clear();
  }
  const std::string text = arguments.json ? inspect::to_json(*report) : inspect::to_text(*report);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    return kDiskError;
  }
  return report->damages.empty() ? kFine : kDamaged;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  const std::string wrong = parse(argc, argv, arguments);
  if (!wrong.empty()) return usage(wrong);
  if (arguments.help) {
    std::fputs(kHelp, stdout);
    return kFine;
  }
  if (arguments.command != "inspect" && arguments.command != "verify") {
    return usage("the command is inspect or verify");
  }
  if (arguments.state_dir.empty()) return usage("-state_dir is needed");
  return run(arguments);
}
