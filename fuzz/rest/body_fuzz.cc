// Any body is understood or has a reason why not; chunks decode alike however they are cut.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/limits.h"
#include "rest/http_chunks.h"
#include "rest/json_body.h"

using namespace multiraft;

namespace {

struct Decoded {
  rest::ChunkDecoder::State state = rest::ChunkDecoder::State::kMore;
  std::string body;
  size_t used = 0;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

Decoded decode(std::string_view text, size_t piece) {
  constexpr size_t kBodyBytesMax = 1000;
  rest::MemoryBudget budget(limits::kMiB);
  rest::BodyBuffer body(budget);
  rest::ChunkDecoder decoder;
  Decoded out;
  while (out.used < text.size() && out.state == rest::ChunkDecoder::State::kMore) {
    const auto step = decoder.feed(text.substr(out.used, piece), body, kBodyBytesMax);
    MR_ASSERT(step.used > 0 && step.used <= text.size() - out.used);
    out.used += step.used;
    out.state = step.state;
  }
  MR_ASSERT(body.size() <= kBodyBytesMax);
  out.body = body.view();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  rest::PutBody put;
  const std::string wrong_put = rest::parse_put_body(text, put);
  for (const char c : wrong_put) MR_ASSERT(c >= ' ' && c < 0x7f);
  rest::NewGroupBody group;
  const std::string wrong_group = rest::parse_new_group_body(text, group);
  for (const char c : wrong_group) MR_ASSERT(c >= ' ' && c < 0x7f);
  if (wrong_group.empty()) MR_ASSERT(group.group && !group.nodes.empty());

  const Decoded whole = decode(text, size);
  MR_ASSERT(decode(text, 1) == whole);
  MR_ASSERT(decode(text, 3) == whole);
  return 0;
}
