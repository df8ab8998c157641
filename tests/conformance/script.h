#pragma once
// The syntax of data-driven test files: directives with arguments, input and expected output.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace multiraft::conformance {

/// `name`, `name=value` or `name=(v1, v2)`.
struct Argument {
  std::string name;
  std::vector<std::string> values;
};

struct Directive {
  int line = 0;          ///< Of the command, from 1.
  std::string preamble;  ///< Everything from the last output's end to the `----`, as it stands.
  std::string command;
  std::vector<Argument> arguments;
  std::string input;     ///< Trimmed.
  std::string expected;  ///< Lines, each with its newline.

  /// Null: not given.
  const Argument* find(std::string_view name) const;
  /// The names of arguments without a value.
  std::vector<std::string> bare() const;
  /// False where the argument is missing; anything but true, false or nothing is false, too.
  bool flag(std::string_view name) const;
};

struct Script {
  std::string path;
  std::vector<Directive> directives;
  std::string trailer;  ///< What follows the last output.
  std::string error;    ///< Not empty: the file is malformed.
};

Script parse_script(std::string path, std::string_view text);

std::optional<uint64_t> parse_number(std::string_view text);
std::string_view trim(std::string_view text);
std::vector<std::string> split_lines(std::string_view text);
std::vector<std::string> split_words(std::string_view text);
std::string lower(std::string_view text);
std::string upper(std::string_view text);

/// The lines that count: log lines are free-form and dropped, except for those that alone show a
/// rule of the protocol. "ok" where nothing else is left.
std::string without_log_lines(std::string_view text);

/// The lines that differ, with some around them, marked by '-' (expected) and '+' (actual).
std::string diff(std::string_view expected, std::string_view actual);

}  // namespace multiraft::conformance
