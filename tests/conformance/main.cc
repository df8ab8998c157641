// raft_conformance [--rewrite] DIR|FILE...
//
// Runs data-driven test files against the Raft core. Each file runs once per seed of the election
// timeouts; a directive passes if it shows what is expected with every seed. With --rewrite the
// files are printed with what is shown instead.
//
// Exit status: 0 all passed, 1 some failed, 2 wrong usage.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "family.h"

namespace multiraft::conformance {
namespace {

constexpr uint64_t kSeeds = 5;

struct Counts {
  size_t passed = 0;
  size_t failed = 0;
};

std::string with_final_newline(std::string text) {
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

std::vector<std::string> run_all(const Script& script, uint64_t seed) {
  const std::unique_ptr<Family> family = make_family(script, seed);
  std::vector<std::string> shown;
  for (const Directive& directive : script.directives) {
    shown.push_back(directive.command == "subtest"
                        ? std::string()
                        : without_log_lines(with_final_newline(family->run(directive))));
  }
  return shown;
}

void check(const Script& script, Counts& counts) {
  std::vector<std::vector<std::string>> shown;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) shown.push_back(run_all(script, seed));
  for (size_t i = 0; i < script.directives.size(); ++i) {
    const Directive& directive = script.directives[i];
    if (directive.command == "subtest") continue;
    const std::string expected = without_log_lines(directive.expected);
    uint64_t failing = 0;
    for (uint64_t seed = kSeeds; seed >= 1; --seed) {
      if (shown[seed - 1][i] != expected) failing = seed;
    }
    if (failing == 0) {
      ++counts.passed;
      continue;
    }
    ++counts.failed;
    std::printf("%s:%d: %s (seed %llu)\n%s\n", script.path.c_str(), directive.line,
                directive.command.c_str(), static_cast<unsigned long long>(failing),
                diff(expected, shown[failing - 1][i]).c_str());
  }
  if (!script.error.empty()) {
    ++counts.failed;
    std::printf("%s: %s\n", script.path.c_str(), script.error.c_str());
  }
}

/// check() in a process of its own: a failed assertion fails the directives of its file, not the
/// run.
void check_apart(const Script& script, Counts& counts) {
  int ends[2];
  std::fflush(stdout);
  if (pipe(ends) != 0) return check(script, counts);
  const pid_t child = fork();
  if (child < 0) return check(script, counts);
  if (child == 0) {
    Counts own;
    check(script, own);
    std::fflush(stdout);
    const bool told = write(ends[1], &own, sizeof own) == ssize_t{sizeof own};
    _exit(told ? 0 : 1);
  }
  close(ends[1]);
  Counts own;
  if (read(ends[0], &own, sizeof own) != ssize_t{sizeof own}) {
    own = {0, std::max<size_t>(1, script.directives.size())};
    std::printf("%s: an assertion failed; none of its directives counts\n", script.path.c_str());
  }
  close(ends[0]);
  (void)waitpid(child, nullptr, 0);
  counts.passed += own.passed;
  counts.failed += own.failed;
}

void rewrite(const Script& script) {
  const std::vector<std::string> shown = run_all(script, 1);
  for (size_t i = 0; i < script.directives.size(); ++i) {
    std::fputs(script.directives[i].preamble.c_str(), stdout);
    const bool has_blank_line =
        shown[i].starts_with("\n") || shown[i].find("\n\n") != std::string::npos;
    std::printf(has_blank_line ? "----\n%s----\n----\n" : "%s", shown[i].c_str());
  }
  std::fputs(script.trailer.c_str(), stdout);
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// A folder may hold text files of other kinds.
bool is_test_file(const std::string& path) {
  const std::string text = read_file(path);
  return text.starts_with("----\n") || text.find("\n----\n") != std::string::npos;
}

/// All test files under `path`, in order. False: there is no such folder or file, or none in it.
bool collect(const std::string& path, std::vector<std::string>& files) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::is_regular_file(path, error)) {
    files.push_back(path);
    return true;
  }
  if (!fs::is_directory(path, error)) return false;
  std::vector<std::string> found;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    if (!it->is_regular_file(error) || it->path().extension() != ".txt") continue;
    if (is_test_file(it->path().string())) found.push_back(it->path().string());
  }
  std::sort(found.begin(), found.end());
  files.insert(files.end(), found.begin(), found.end());
  return !error && !found.empty();
}

int run(const std::vector<std::string>& arguments) {
  bool rewriting = false;
  std::vector<std::string> files;
  bool any_path = false;
  for (const std::string& argument : arguments) {
    if (argument == "--rewrite") {
      rewriting = true;
      continue;
    }
    any_path = true;
    if (!collect(argument, files)) {
      std::fprintf(stderr, "raft_conformance: no test files in %s\n", argument.c_str());
      return 2;
    }
  }
  if (!any_path) {
    std::fprintf(stderr, "usage: raft_conformance [--rewrite] DIR|FILE...\n");
    return 2;
  }
  Counts counts;
  for (const std::string& file : files) {
    const Script script = parse_script(file, read_file(file));
    if (rewriting) {
      rewrite(script);
    } else {
      check_apart(script, counts);
    }
  }
  if (rewriting) return 0;
  std::printf("%zu passed, %zu failed\n", counts.passed, counts.failed);
  return counts.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace multiraft::conformance

int main(int argc, char** argv) {
  return multiraft::conformance::run(std::vector<std::string>(argv + 1, argv + argc));
}
