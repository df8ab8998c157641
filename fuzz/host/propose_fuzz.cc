// The answer to a forwarded write: the first byte is the response's code, the rest its payload.
// What is understood encodes to the same bytes; what is not is an unknown outcome.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "fuzz/input.h"
#include "host/propose_codec.h"

using namespace multiraft;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(fuzz::view_of(data, size));
  const auto code =
      static_cast<StatusCode>(input.u8() % (static_cast<uint8_t>(StatusCode::kInternal) + 1));
  const std::string_view payload = input.rest();
  const host::WriteResult result = host::decode_write_result(code, payload);
  MR_ASSERT(code == StatusCode::kOk || result.status.code() == code);
  if (code == StatusCode::kOk && !result.status) {
    MR_ASSERT(result.status.code() == StatusCode::kUnknownOutcome);
    return 0;
  }
  if (payload.size() < sizeof(uint64_t)) return 0;  // An error without a leader.
  MR_ASSERT(host::encode_write_result(result).view() == payload);
  return 0;
}
