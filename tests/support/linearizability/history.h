#pragma once
// What clients did and saw: the input of the linearizability checker, and the formats it is read
// from. Plain values; nothing here is shared between threads.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "multiraft/status.h"

namespace multiraft::linearizability {

/// The content of a key; nothing: there is no such key.
using Value = std::optional<std::string>;

enum class OpKind : uint8_t {
  kRead,    ///< `value` is what was read.
  kWrite,   ///< `value` is what was written; nothing: a delete.
  kCas,     ///< Writes `value` if the content is `expected`; `swapped` says whether it was.
  kAppend,  ///< `value` is put behind the content; a missing key counts as empty.
};

enum class Outcome : uint8_t {
  kOk,       ///< Answered: it took effect once between call and return.
  kFail,     ///< Certainly never took effect: it constrains nothing.
  kUnknown,  ///< No answer, or an unclear one: it takes effect at any time after the call, or
             ///< never.
};

struct Operation {
  uint64_t process = 0;  ///< Who did it; for messages only.
  OpKind kind = OpKind::kRead;
  std::string key;
  Value value;
  Value expected;       ///< kCas only.
  bool swapped = true;  ///< kCas with kOk only: false: it ran and found another content.
  int64_t call_ns = 0;
  int64_t return_ns = 0;  ///< Not before call_ns; without meaning for kUnknown.
  Outcome outcome = Outcome::kOk;

  /// One line for a person: `process 3: put "k" = "v" [12, 40] ok`.
  std::string to_string() const;
};

/// Times need only be comparable within one history. Operations that touch in a point of time (one
/// returns when the other is called) count as concurrent, so that a coarse clock raises no alarm.
struct History {
  std::vector<Operation> operations;
  Value initial;  ///< What every key holds at first.
};

/// Finds the format by the first line and parses it:
/// - JSON lines, our own (README.md beside this file);
/// - a Jepsen log of one register (`INFO jepsen.util - 3 :invoke :cas [1 2]`), time = line number;
/// - EDN lines of a string store (`{:process 0, :type :ok, :f :get, :key "1", :value "x"}`).
/// kInvalidArgument with the line number where the text does not follow its format.
Result<History> parse_history(std::string_view text);

/// One JSON line of our own format, without the line end.
std::string to_json_line(const Operation& operation);

}  // namespace multiraft::linearizability
