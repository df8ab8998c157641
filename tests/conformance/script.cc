#include "script.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace multiraft::conformance {
namespace {

constexpr std::string_view kSeparator = "----";

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

/// The values between the parentheses that open at `at`; leaves `at` after the closing one.
std::vector<std::string> parse_values(std::string_view text, size_t& at) {
  std::vector<std::string> values;
  std::string value;
  int depth = 1;
  for (++at; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '(') ++depth;
    if (c == ')' && --depth == 0) break;
    if (c == ',' && depth == 1) {
      values.push_back(value);
      value.clear();
      while (at + 1 < text.size() && text[at + 1] == ' ') ++at;
      continue;
    }
    value += c;
  }
  if (at < text.size()) ++at;
  if (!value.empty() || !values.empty()) values.push_back(value);
  return values;
}

void parse_command(std::string_view text, Directive& directive) {
  size_t at = 0;
  const auto skip_spaces = [&] {
    while (at < text.size() && is_space(text[at])) ++at;
  };
  while (at < text.size() && !is_space(text[at])) directive.command += text[at++];
  for (skip_spaces(); at < text.size(); skip_spaces()) {
    Argument argument;
    while (at < text.size() && !is_space(text[at]) && text[at] != '=') argument.name += text[at++];
    if (at < text.size() && text[at] == '=') {
      ++at;
      if (at < text.size() && text[at] == '(') {
        argument.values = parse_values(text, at);
      } else {
        std::string value;
        while (at < text.size() && !is_space(text[at])) value += text[at++];
        argument.values.push_back(value);
      }
    }
    directive.arguments.push_back(std::move(argument));
  }
}

/// Reads directives off the lines of a file.
class Parser {
 public:
  explicit Parser(std::string_view text) : lines_(split_lines(text)) {}

  void parse(Script& script) {
    while (read_directive(script)) {
    }
    script.trailer = preamble_;
  }

 private:
  const std::string& take() {
    preamble_ += lines_[at_] + "\n";
    return lines_[at_++];
  }
  bool blank(size_t line) const { return line >= lines_.size() || trim(lines_[line]).empty(); }
  bool separator(size_t line) const { return line < lines_.size() && lines_[line] == kSeparator; }

  bool read_directive(Script& script) {
    Directive directive;
    std::string text;
    while (at_ < lines_.size()) {
      directive.line = static_cast<int>(at_) + 1;
      text = trim(take());
      if (!text.empty() && text[0] != '#') break;
      text.clear();
    }
    if (text.empty()) return false;
    while (text.back() == '\\' && at_ < lines_.size()) {
      text.pop_back();
      text += ' ';
      text += trim(take());
    }
    parse_command(text, directive);
    if (directive.command == "subtest") {
      directive.preamble = std::move(preamble_);
      preamble_.clear();
      script.directives.push_back(std::move(directive));
      return true;
    }
    while (at_ < lines_.size() && !separator(at_)) directive.input += take() + "\n";
    directive.input = trim(directive.input);
    if (at_ >= lines_.size()) {
      script.error =
          "line " + std::to_string(directive.line) + ": no ---- after " + directive.command;
      return false;
    }
    take();
    directive.preamble = std::move(preamble_);
    preamble_.clear();
    read_expected(directive);
    script.directives.push_back(std::move(directive));
    return true;
  }

  void read_expected(Directive& directive) {
    if (!separator(at_)) {
      while (!blank(at_)) directive.expected += lines_[at_++] + "\n";
      return;
    }
    ++at_;
    while (at_ < lines_.size() && !(separator(at_) && separator(at_ + 1) && blank(at_ + 2))) {
      directive.expected += lines_[at_++] + "\n";
    }
    at_ = std::min(at_ + 2, lines_.size());
  }

  std::vector<std::string> lines_;
  size_t at_ = 0;
  std::string preamble_;
};

bool is_log_line(std::string_view line) {
  const size_t start = line.find_first_not_of(' ');
  if (start == std::string_view::npos) return false;
  line.remove_prefix(start);
  static constexpr std::array<std::string_view, 5> kLevels = {"DEBUG ", "INFO ", "WARN ", "ERROR ",
                                                              "FATAL "};
  return std::any_of(kLevels.begin(), kLevels.end(),
                     [&](std::string_view level) { return line.starts_with(level); });
}

bool is_kept(std::string_view line) {
  static constexpr std::array<std::string_view, 4> kKept = {
      "ignored entry appends from", "missing from unstable log", "mismatched with entry at",
      "is unpromotable and can not campaign"};
  return std::any_of(kKept.begin(), kKept.end(), [&](std::string_view text) {
    return line.find(text) != std::string_view::npos;
  });
}

}  // namespace

const Argument* Directive::find(std::string_view name) const {
  for (const Argument& argument : arguments) {
    if (argument.name == name) return &argument;
  }
  return nullptr;
}

std::vector<std::string> Directive::bare() const {
  std::vector<std::string> names;
  for (const Argument& argument : arguments) {
    if (argument.values.empty()) names.push_back(argument.name);
  }
  return names;
}

bool Directive::flag(std::string_view name) const {
  const Argument* argument = find(name);
  if (argument == nullptr) return false;
  return argument->values.empty() || argument->values[0] == "true";
}

Script parse_script(std::string path, std::string_view text) {
  Script script;
  script.path = std::move(path);
  Parser(text).parse(script);
  return script;
}

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  for (text = trim(text); !text.empty(); text = trim(text)) {
    const auto end = std::find_if(text.begin(), text.end(), is_space);
    words.emplace_back(text.begin(), end);
    text.remove_prefix(words.back().size());
  }
  return words;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

std::string without_log_lines(std::string_view text) {
  std::string out;
  for (const std::string& line : split_lines(text)) {
    if (!is_log_line(line) || is_kept(line)) out += line + "\n";
  }
  return out.empty() && !text.empty() ? "ok\n" : out;
}

std::string diff(std::string_view expected, std::string_view actual) {
  const std::vector<std::string> a = split_lines(expected);
  const std::vector<std::string> b = split_lines(actual);
  // common[i][j]: length of the longest common subsequence of a[i..] and b[j..].
  std::vector<std::vector<size_t>> common(a.size() + 1, std::vector<size_t>(b.size() + 1, 0));
  for (size_t i = a.size(); i-- > 0;) {
    for (size_t j = b.size(); j-- > 0;) {
      common[i][j] =
          a[i] == b[j] ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
    }
  }
  std::vector<std::string> out;
  std::vector<bool> differs;
  const auto add = [&](char mark, const std::string& line) {
    out.push_back(mark + line);
    differs.push_back(mark != ' ');
  };
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() || j < b.size()) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      add(' ', a[i]);
      ++i, ++j;
    } else if (j == b.size() || (i < a.size() && common[i + 1][j] >= common[i][j + 1])) {
      add('-', a[i++]);
    } else {
      add('+', b[j++]);
    }
  }
  constexpr size_t kContext = 3;
  std::string text;
  for (size_t k = 0; k < out.size(); ++k) {
    bool near = false;
    for (size_t n = k > kContext ? k - kContext : 0; n <= k + kContext && n < out.size(); ++n) {
      near = near || differs[n];
    }
    if (near) text += "  " + out[k] + "\n";
  }
  return text;
}

}  // namespace multiraft::conformance
