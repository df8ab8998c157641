#include "multiraft/status.h"

#include "base/assert.h"

namespace multiraft {

std::string_view status_code_name(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "OK";
    case StatusCode::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case StatusCode::kNotFound:
      return "NOT_FOUND";
    case StatusCode::kAlreadyExists:
      return "ALREADY_EXISTS";
    case StatusCode::kConflict:
      return "CONFLICT";
    case StatusCode::kUnavailable:
      return "UNAVAILABLE";
    case StatusCode::kUnknownOutcome:
      return "UNKNOWN_OUTCOME";
    case StatusCode::kOverloaded:
      return "OVERLOADED";
    case StatusCode::kNotLeader:
      return "NOT_LEADER";
    case StatusCode::kTooLarge:
      return "TOO_LARGE";
    case StatusCode::kCorruption:
      return "CORRUPTION";
    case StatusCode::kIoError:
      return "IO_ERROR";
    case StatusCode::kNoSpace:
      return "NO_SPACE";
    case StatusCode::kCancelled:
      return "CANCELLED";
    case StatusCode::kInternal:
      return "INTERNAL";
    case StatusCode::kStateRollback:
      return "STATE_ROLLBACK";
    case StatusCode::kUnsupported:
      return "UNSUPPORTED";
    case StatusCode::kNoSuchGroup:
      return "NO_SUCH_GROUP";
    case StatusCode::kWrongNode:
      return "WRONG_NODE";
  }
  MR_UNREACHABLE("status code");
}

void internal::misused_result() {
  MR_UNREACHABLE("a Result was asked for a value that it does not have");
}

std::string Status::to_string() const {
  if (is_ok()) return "OK";
  return std::string(status_code_name(code_)) + ": " + message_;
}

}  // namespace multiraft
