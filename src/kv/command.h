#pragma once
// Commands of the key-value state machine as payloads of log entries (docs/formats/kv.md).
//
// A command is judged when it is applied, by every replica alike, so what decode_command() accepts
// is part of format version 1: the limits below never change within it. A malformed command changes
// nothing and has a result code. A replica whose program does not know a version or a kind stops
// before it (check_known()), and a kind may only be proposed once the cluster's version says that
// every node knows it (version_needed()).

#include <cstdint>
#include <string_view>

#include "base/limits.h"
#include "multiraft/bytes.h"
#include "multiraft/status.h"

namespace multiraft::kv {

inline constexpr uint8_t kCommandVersion = 1;

enum class CommandKind : uint8_t {
  kPut = 1,
  kDelete = 2,
};

/// ApplyResult::code of the key-value state machine. Values travel between nodes: never renumber.
enum class ResultCode : uint64_t {
  kApplied = 0,
  kNotFound = 1,        ///< Delete: there was no such key.
  kBadCommand = 2,      ///< Bytes that are no command.
  kUnknownCommand = 3,  ///< A version or kind that this program does not know. Never applied.
  kTooLarge = 4,        ///< A key or value beyond base/limits.h.
};

/// "APPLIED", "NOT_FOUND", ...; "UNKNOWN_CODE" for a number that is no ResultCode.
std::string_view result_code_name(uint64_t code);

/// A decoded command: views into the payload.
struct CommandView {
  CommandKind kind = CommandKind::kPut;
  std::string_view key;
  std::string_view value;  ///< Of kPut; else empty.
};

/// 1 .. kKeyBytesMax bytes, any values.
constexpr bool valid_key(std::string_view key) {
  return !key.empty() && key.size() <= limits::kKeyBytesMax;
}
constexpr bool valid_value(std::string_view value) {
  return value.size() <= limits::kValueBytesMax;
}

/// Both expect a valid key and value: whoever takes them from a user checks first. One allocation,
/// one copy of key and value.
SharedBytes encode_put(std::string_view key, std::string_view value);
SharedBytes encode_delete(std::string_view key);

/// Whether applying it may need more room on the disk than before: a put.
bool grows(std::string_view payload);

/// kUnsupported: a version or kind that this program does not know.
Status check_known(std::string_view payload);

/// The lowest version of the cluster in which commands of this kind may be proposed.
uint32_t version_needed(std::string_view payload);

/// kApplied: `out` is the command. Otherwise the reason why there is none.
ResultCode decode_command(std::string_view payload, CommandView& out);

}  // namespace multiraft::kv
