#pragma once
// Errors as values. Operating errors (disk, network, users) are a Status; programmer errors abort.

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace multiraft {

enum class StatusCode : unsigned char {
  kOk,
  kInvalidArgument,  ///< The caller's fault; trying again does not help.
  kNotFound,
  kAlreadyExists,
  kConflict,        ///< The request contradicts the present state.
  kUnavailable,     ///< Not now; certainly not applied. Try again.
  kUnknownOutcome,  ///< It may or may not have happened.
  kOverloaded,      ///< A limit of base/limits.h; not applied.
  kNotLeader,       ///< Not applied; somebody else may be able to.
  kTooLarge,
  kCorruption,  ///< Bytes that fail their checksum or make no sense.
  kIoError,     ///< The system refused; the message carries errno.
  kNoSpace,     ///< The disk, or its reserve, is used up.
  kCancelled,   ///< The owner is stopping.
  kInternal,
  kStateRollback,  ///< Another node knows more of this node than its state directory does.
  kUnsupported,    ///< Written by a newer version of this program, which is needed to go on.
  kNoSuchGroup,
  kWrongNode,  ///< This node has no replica of the group; others have.
};

std::string_view status_code_name(StatusCode code);

/// Result of an operation without a value. Cheap when ok.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  static Status ok() { return {}; }

  bool is_ok() const { return code_ == StatusCode::kOk; }
  explicit operator bool() const { return is_ok(); }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }
  /// "CODE: message", or "OK".
  std::string to_string() const;

  friend bool operator==(const Status&, const Status&) = default;

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

namespace internal {
/// Ends the process: a Result was made from an ok status, or asked for a value that it does not
/// have.
[[noreturn]] void misused_result();
}  // namespace internal

/// A value or the reason why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status status) : status_(std::move(status)) {
    if (status_.is_ok()) [[unlikely]]
      internal::misused_result();
  }

  bool is_ok() const { return value_.has_value(); }
  explicit operator bool() const { return is_ok(); }
  const Status& status() const { return status_; }

  /// Only where is_ok().
  T& value() {
    check();
    return *value_;
  }
  const T& value() const {
    check();
    return *value_;
  }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  void check() const {
    if (!value_.has_value()) [[unlikely]]
      internal::misused_result();
  }

  Status status_;
  std::optional<T> value_;
};

}  // namespace multiraft

/// Returns from the enclosing function when `expr` is an error.
#define MR_RETURN_IF_ERROR(expr)                                    \
  do {                                                              \
    if (auto mr_status_ = (expr); !mr_status_.is_ok()) [[unlikely]] \
      return mr_status_;                                            \
  } while (false)
