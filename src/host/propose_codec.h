#pragma once
// The answer to a forwarded write (wire::RequestKind::kPropose). The request's payload is the
// command itself (docs/formats/wire.md).

#include "host/node_host.h"
#include "multiraft/bytes.h"
#include "multiraft/status.h"

namespace multiraft::host {

/// leader u64, index u64, term u64, code u64, data. On error: leader u64, then the text.
SharedBytes encode_write_result(const WriteResult& result);
/// `code` is the response's. What cannot be read is an unknown outcome.
WriteResult decode_write_result(StatusCode code, std::string_view payload);

}  // namespace multiraft::host
