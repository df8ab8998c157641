// Any bytes are a row of frames or have a reason why not; a frame that checks is made of the same
// bytes when it is made again.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "wire/frame.h"

using namespace multiraft;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view in(reinterpret_cast<const char*>(data), size);
  while (!in.empty()) {
    wire::FrameHeader header;
    if (!wire::decode_frame_header(in, header)) return 0;
    MR_ASSERT(header.payload_bytes <= wire::payload_bytes_max(header.kind));
    MR_ASSERT(!wire::frame_kind_name(header.kind).empty());
    in.remove_prefix(wire::kFrameHeaderBytes);
    if (in.size() < header.payload_bytes) return 0;
    const std::string_view payload = in.substr(0, header.payload_bytes);
    if (!wire::check_frame_payload(header, payload)) return 0;
    if (header.version == wire::kProtocolVersion) {
      const std::string_view frame(payload.data() - wire::kFrameHeaderBytes,
                                   wire::kFrameHeaderBytes + payload.size());
      MR_ASSERT(wire::make_frame(header.kind, payload) == frame);
    }
    in.remove_prefix(payload.size());
  }
  return 0;
}
