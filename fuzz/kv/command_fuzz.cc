// Any bytes are a command or have a reason why not; what decodes encodes to the same bytes.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "kv/command.h"

using namespace multiraft;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view payload(reinterpret_cast<const char*>(data), size);
  kv::CommandView view;
  const kv::ResultCode code = kv::decode_command(payload, view);
  MR_ASSERT(kv::result_code_name(static_cast<uint64_t>(code)) != "UNKNOWN_CODE");
  if (code != kv::ResultCode::kApplied) return 0;
  const SharedBytes again = view.kind == kv::CommandKind::kPut
                                ? kv::encode_put(view.key, view.value)
                                : kv::encode_delete(view.key);
  MR_ASSERT(again.view() == payload);
  return 0;
}
