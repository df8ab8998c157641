#pragma once
// Status codes as numbers on the wire.

#include <cstdint>

#include "base/bytes.h"
#include "multiraft/status.h"

namespace multiraft::wire {

// The numbers are part of the format; the enumeration must not be reordered.
static_assert(static_cast<uint8_t>(StatusCode::kOk) == 0);
static_assert(static_cast<uint8_t>(StatusCode::kInvalidArgument) == 1);
static_assert(static_cast<uint8_t>(StatusCode::kNotFound) == 2);
static_assert(static_cast<uint8_t>(StatusCode::kAlreadyExists) == 3);
static_assert(static_cast<uint8_t>(StatusCode::kConflict) == 4);
static_assert(static_cast<uint8_t>(StatusCode::kUnavailable) == 5);
static_assert(static_cast<uint8_t>(StatusCode::kUnknownOutcome) == 6);
static_assert(static_cast<uint8_t>(StatusCode::kOverloaded) == 7);
static_assert(static_cast<uint8_t>(StatusCode::kNotLeader) == 8);
static_assert(static_cast<uint8_t>(StatusCode::kTooLarge) == 9);
static_assert(static_cast<uint8_t>(StatusCode::kCorruption) == 10);
static_assert(static_cast<uint8_t>(StatusCode::kIoError) == 11);
static_assert(static_cast<uint8_t>(StatusCode::kNoSpace) == 12);
static_assert(static_cast<uint8_t>(StatusCode::kCancelled) == 13);
static_assert(static_cast<uint8_t>(StatusCode::kInternal) == 14);
static_assert(static_cast<uint8_t>(StatusCode::kStateRollback) == 15);
static_assert(static_cast<uint8_t>(StatusCode::kUnsupported) == 16);

inline bool is_status_code(uint8_t number) {
  return number <= static_cast<uint8_t>(StatusCode::kUnsupported);
}

}  // namespace multiraft::wire
