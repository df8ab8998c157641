// Runs every fuzz target over its corpus, once, without a fuzzer: what was found stays mended.
//
//   fuzz_replay FUZZ_DIRECTORY [TEXT]     only targets whose corpus has TEXT in its path
//
// The last line before the process ends by an assertion is the input that did it.

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#define FUZZ_TARGET(function, corpus) extern "C" int function(const uint8_t* data, size_t size);
#include "fuzz_targets.inc"
#undef FUZZ_TARGET

namespace {

struct Target {
  int (*run)(const uint8_t* data, size_t size);
  std::string_view corpus;
};

constexpr Target kTargets[] = {
#define FUZZ_TARGET(function, corpus) {&function, corpus},
#include "fuzz_targets.inc"
#undef FUZZ_TARGET
};

/// Of the input that runs, for the signal's handler.
const char* volatile g_input = "";

void say_input(int signal) {
  std::fprintf(stderr, "\nfuzz_replay: signal %d with %s\n", signal, g_input);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void run(const Target& target, const std::string& name, const std::string& input) {
  g_input = name.c_str();
  // A copy of exactly this size, so that a sanitizer sees a read past its end.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  target.run(bytes.data(), bytes.size());
  g_input = "";
}

size_t replay(const Target& target, const std::filesystem::path& root) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(root / target.corpus)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  run(target, std::string(target.corpus) + ": the empty input", "");
  for (const auto& file : files) run(target, file.string(), content_of(file));
  return files.size();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: fuzz_replay FUZZ_DIRECTORY [TEXT]\n");
    return 2;
  }
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE}) std::signal(signal, say_input);
  const std::string_view wanted = argc > 2 ? argv[2] : "";
  size_t inputs = 0;
  for (const Target& target : kTargets) {
    if (target.corpus.find(wanted) == std::string_view::npos) continue;
    const size_t count = replay(target, argv[1]);
    std::printf("%-28s %4zu inputs\n", std::string(target.corpus).c_str(), count);
    // A corpus that is not found must not look like one that holds nothing against the target.
    if (count == 0) {
      std::fprintf(stderr, "fuzz_replay: %s is empty\n", std::string(target.corpus).c_str());
      return 1;
    }
    inputs += count;
  }
  std::printf("%zu inputs\n", inputs);
  return inputs == 0 ? 1 : 0;
}
