// linearizability_check [-q] FILE...       verdict of each history
// linearizability_check --expect DIR...    verdicts against what the folders say is right
//
// Exit status: 0 every history is linearizable (with --expect: every verdict is as expected),
// 1 one is not, 2 usage or unreadable input, 3 one could not be decided within the budget.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "linearizability/checker.h"

namespace {

namespace fs = std::filesystem;
using multiraft::linearizability::check;
using multiraft::linearizability::CheckResult;
using multiraft::linearizability::parse_history;
using multiraft::linearizability::Verdict;

constexpr int kExitOk = 0;
constexpr int kExitNot = 1;
constexpr int kExitUsage = 2;
constexpr int kExitUndecided = 3;

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kLinearizable:
      return "linearizable";
    case Verdict::kNotLinearizable:
      return "NOT-linearizable";
    case Verdict::kUndecided:
      return "undecided";
  }
  return "?";
}

struct FileResult {
  std::string error;  ///< Not empty: the file could not be read or parsed.
  size_t operations = 0;
  CheckResult check;
};

FileResult check_file(const fs::path& path) {
  FileResult result;
  if (std::error_code ignored; fs::is_directory(path, ignored)) {
    result.error = "is a directory: give files, or --expect with it";
    return result;
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    result.error = "cannot be read";
    return result;
  }
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  auto history = parse_history(text);
  if (!history) {
    result.error = history.status().message();
    return result;
  }
  result.operations = history->operations.size();
  result.check = check(*history);
  return result;
}

int check_files(const std::vector<std::string>& paths, bool quiet) {
  int exit_status = kExitOk;
  for (const std::string& path : paths) {
    const FileResult result = check_file(path);
    if (!result.error.empty()) {
      std::fprintf(stderr, "%s: %s\n", path.c_str(), result.error.c_str());
      return kExitUsage;
    }
    const Verdict verdict = result.check.verdict;
    if (!quiet || verdict != Verdict::kLinearizable) {
      std::printf("%s: %s (%zu operations)\n", path.c_str(), verdict_name(verdict).data(),
                  result.operations);
    }
    if (!result.check.explanation.empty()) std::printf("%s\n", result.check.explanation.c_str());
    if (verdict == Verdict::kNotLinearizable) exit_status = kExitNot;
    if (verdict == Verdict::kUndecided && exit_status == kExitOk) exit_status = kExitUndecided;
  }
  return exit_status;
}

/// `X_expected.txt` lists `FILE VERDICT` for the files of the folder X beside it; anywhere else a
/// name ending in `-ok` or `-bad` says it.
std::map<fs::path, std::string> expected_verdicts(const fs::path& root) {
  std::map<fs::path, std::string> expected;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    const fs::path& path = entry.path();
    const std::string stem = path.stem().string();
    if (stem.ends_with("-ok")) expected[path] = verdict_name(Verdict::kLinearizable);
    if (stem.ends_with("-bad")) expected[path] = verdict_name(Verdict::kNotLinearizable);
    constexpr std::string_view kListSuffix = "_expected";
    if (!stem.ends_with(kListSuffix)) continue;
    const fs::path folder = path.parent_path() / stem.substr(0, stem.size() - kListSuffix.size());
    std::ifstream in(path);
    for (std::string file, verdict; in >> file >> verdict;) expected[folder / file] = verdict;
  }
  return expected;
}

int check_expected(const std::vector<std::string>& roots) {
  size_t passed = 0;
  size_t failed = 0;
  for (const std::string& root : roots) {
    if (!fs::is_directory(root)) {
      std::fprintf(stderr, "%s: not a folder\n", root.c_str());
      return kExitUsage;
    }
    for (const auto& [path, wanted] : expected_verdicts(root)) {
      const FileResult result = check_file(path);
      const std::string found =
          result.error.empty() ? std::string(verdict_name(result.check.verdict)) : result.error;
      found == wanted ? ++passed : ++failed;
      if (found == wanted) continue;
      std::printf("%s: %s, expected %s\n%s\n", path.c_str(), found.c_str(), wanted.c_str(),
                  result.check.explanation.c_str());
    }
  }
  std::printf("%zu passed, %zu failed\n", passed, failed);
  return failed == 0 && passed > 0 ? kExitOk : kExitNot;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> paths(argv + 1, argv + argc);
  const auto take_flag = [&paths](std::string_view flag) {
    const auto it = std::find(paths.begin(), paths.end(), flag);
    if (it == paths.end()) return false;
    paths.erase(it);
    return true;
  };
  const bool quiet = take_flag("-q");
  const bool expect = take_flag("--expect");
  if (paths.empty() || paths.front().starts_with('-')) {
    std::fprintf(stderr, "usage: linearizability_check [-q] FILE... | --expect DIR...\n");
    return kExitUsage;
  }
  return expect ? check_expected(paths) : check_files(paths, quiet);
}
