// Any head is parsed or refused, and where it is parsed there is one way to find the end of its
// body.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "http/parser.h"
#include "http/uri.h"

using namespace multiraft;

namespace {

bool has_control(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < ' ' && c != '\t') || byte == 0x7f) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  size_t searched = 0;
  const size_t head_bytes = http::find_head_end(text, searched);
  if (head_bytes == 0) {
    MR_ASSERT(searched <= size);
    return 0;
  }
  http::RequestHead head;
  const http::HeadOutcome outcome = http::parse_head(text.substr(0, head_bytes), head);
  if (!outcome.ok) {
    MR_ASSERT(!outcome.detail.empty());
    return 0;
  }
  MR_ASSERT(http::may_begin_request(text));
  MR_ASSERT(!head.target.empty() && !has_control(head.target));
  MR_ASSERT(!(head.chunked && head.content_length));
  MR_ASSERT(http::is_valid_host(head.host));
  std::vector<std::string_view> values = {head.request_id};
  values.insert(values.end(), head.if_match.begin(), head.if_match.end());
  values.insert(values.end(), head.if_none_match.begin(), head.if_none_match.end());
  for (const std::string_view value : values) {
    MR_ASSERT(!has_control(value));
    // A view into the input, never into the parser's own memory.
    MR_ASSERT(value.empty() ||
              (value.data() >= text.data() && value.data() < text.data() + head_bytes));
  }
  return 0;
}
