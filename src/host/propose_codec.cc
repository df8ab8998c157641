#include "host/propose_codec.h"

#include "base/bytes.h"

namespace multiraft::host {

SharedBytes encode_write_result(const WriteResult& result) {
  std::string out;
  ByteWriter w(out);
  w.u64(result.leader.value);
  if (result.status.is_ok()) {
    w.u64(result.index.value);
    w.u64(result.term.value);
    w.u64(result.result.code);
    w.bytes(result.result.data);
  } else {
    w.bytes(result.status.message());
  }
  return SharedBytes::copy_of(out);
}

WriteResult decode_write_result(StatusCode code, std::string_view payload) {
  WriteResult result;
  ByteReader in(payload);
  result.leader = ReplicaId(in.u64());
  if (code != StatusCode::kOk) {
    result.status = Status(code, std::string(in.bytes(in.remaining())));
    return result;
  }
  result.index = LogIndex(in.u64());
  result.term = Term(in.u64());
  result.result.code = in.u64();
  result.result.data = SharedBytes::copy_of(in.bytes(in.remaining()));
  if (in.failed()) {
    result.status = Status(StatusCode::kUnknownOutcome, "the leader's answer could not be read");
  }
  return result;
}

}  // namespace multiraft::host
