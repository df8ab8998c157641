// The first byte says which message between nodes the rest is. What decodes encodes to the same
// bytes.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "cluster/messages.h"
#include "fuzz/input.h"
#include "registry/command.h"

using namespace multiraft;

namespace {

template <class T>
void expect_same(const Result<T>& decoded, std::string_view bytes) {
  if (!decoded) {
    MR_ASSERT(decoded.status().code() == StatusCode::kCorruption);
    return;
  }
  MR_ASSERT(cluster::encode(*decoded).view() == bytes);
}

void outcome(fuzz::Input& input) {
  ApplyResult result;
  result.code = input.u8();
  result.data = SharedBytes::copy_of(input.rest());
  auto decoded = registry::decode_outcome(result);
  if (!decoded) return;
  (void)decoded->status();
  const ApplyResult again = registry::encode_outcome(*decoded);
  MR_ASSERT(again.code == result.code && again.data.view() == result.data.view());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(fuzz::view_of(data, size));
  const uint8_t kind = input.u8() % 8;
  if (kind == 6) {
    outcome(input);
    return 0;
  }
  const std::string_view bytes = input.rest();
  if (kind == 0) expect_same(cluster::decode_join_request(bytes), bytes);
  if (kind == 1) expect_same(cluster::decode_join_answer(bytes), bytes);
  if (kind == 2) expect_same(cluster::decode_admin_request(bytes), bytes);
  if (kind == 3) expect_same(cluster::decode_verdict(bytes), bytes);
  if (kind == 4) expect_same(cluster::decode_uuid(bytes), bytes);
  if (kind == 7) expect_same(cluster::decode_registry_position(bytes), bytes);
  if (kind == 5) {
    auto known = cluster::decode_leader_known(bytes);
    if (known) MR_ASSERT(cluster::encode_leader_known(*known).view() == bytes);
  }
  return 0;
}
