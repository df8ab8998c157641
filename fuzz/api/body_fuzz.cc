// Any body is understood or has a reason why not; chunks decode alike however they are cut.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/json_body.h"
#include "base/assert.h"
#include "base/limits.h"
#include "http/chunks.h"

using namespace multiraft;

namespace {

struct Decoded {
  http::ChunkDecoder::State state = http::ChunkDecoder::State::kMore;
  std::string body;
  size_t used = 0;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

Decoded decode(std::string_view text, size_t piece) {
  constexpr size_t kBodyBytesMax = 1000;
  MemoryBudget budget(limits::kMiB);
  http::BodyBuffer body(budget);
  http::ChunkDecoder decoder;
  Decoded out;
  while (out.used < text.size() && out.state == http::ChunkDecoder::State::kMore) {
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
  api::PutBody put;
  const std::string wrong_put = api::parse_put_body(text, put);
  for (const char c : wrong_put) MR_ASSERT(c >= ' ' && c < 0x7f);
  api::NewGroupBody group;
  const std::string wrong_group = api::parse_new_group_body(text, group);
  for (const char c : wrong_group) MR_ASSERT(c >= ' ' && c < 0x7f);
  if (wrong_group.empty()) MR_ASSERT(group.group && !group.nodes.empty());

  const Decoded whole = decode(text, size);
  MR_ASSERT(decode(text, 1) == whole);
  MR_ASSERT(decode(text, 3) == whole);
  return 0;
}
