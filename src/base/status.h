#pragma once
// Errors as values. Operating errors (disk, network, users) are a Status; programmer errors abort.

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/assert.h"

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
  kCorruption,  ///< Bytes that do not check.
  kIoError,     ///< The system refused; the message carries errno.
  kNoSpace,     ///< The disk, or its reserve, is used up.
  kCancelled,   ///< The owner is stopping.
  kInternal,
  kOlderState,   ///< Another node knows more of this node than its state directory does.
  kUnsupported,  ///< Written by a newer version of this program, which is needed to go on.
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

/// A value or the reason why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status status) : status_(std::move(status)) { MR_ASSERT(!status_.is_ok()); }

  bool is_ok() const { return value_.has_value(); }
  explicit operator bool() const { return is_ok(); }
  const Status& status() const { return status_; }

  T& value() {
    MR_ASSERT(value_.has_value());
    return *value_;
  }
  const T& value() const {
    MR_ASSERT(value_.has_value());
    return *value_;
  }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
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
