#include "state_dir/known_nodes.h"

#include <utility>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace multiraft::state_dir {
namespace {

constexpr uint64_t kMagic = 0x5245455054464d52;  // "RMFTPEER"
constexpr uint32_t kVersion = 3;

}  // namespace

std::string encode_known_nodes(const KnownNodes& book) {
  std::string bytes;
  ByteWriter out(bytes);
  out.u64(kMagic);
  out.u32(kVersion);
  out.u64(book.version.value);
  out.u32(static_cast<uint32_t>(book.nodes.size()));
  for (const NodeAddress& address : book.nodes) {
    out.u64(address.node.value);
    out.sized(address.raft_address);
    out.u64(address.uuid.high);
    out.u64(address.uuid.low);
  }
  out.u32(static_cast<uint32_t>(book.boots.size()));
  for (const wire::BootRecord& life : book.boots) wire::encode(life, out);
  out.u32(crc32c(bytes));
  return bytes;
}

Result<KnownNodes> decode_known_nodes(std::string_view bytes) {
  const auto corrupt = [](const char* why) { return Status(StatusCode::kCorruption, why); };
  ByteReader in(bytes);
  if (in.u64() != kMagic) return corrupt("offset 0: not a list of addresses");
  if (in.u32() != kVersion) return corrupt("offset 8: unknown version");
  KnownNodes book;
  book.version.value = in.u64();
  const uint32_t count = in.u32();
  for (uint32_t i = 0; i < count && !in.failed(); ++i) {
    NodeAddress address;
    address.node.value = in.u64();
    address.raft_address = in.sized();
    address.uuid.high = in.u64();
    address.uuid.low = in.u64();
    book.nodes.push_back(std::move(address));
  }
  const uint32_t boots = in.u32();
  for (uint32_t i = 0; i < boots && !in.failed(); ++i) {
    wire::BootRecord life;
    if (!wire::decode(in, life)) return corrupt("offset 24: a malformed life");
    book.boots.push_back(std::move(life));
  }
  const size_t checked = in.position();
  const uint32_t crc = in.u32();
  if (!in.complete()) return corrupt("its length is wrong");
  if (crc != crc32c(bytes.substr(0, checked))) return corrupt("offset 0: the checksum is wrong");
  return book;
}

}  // namespace multiraft::state_dir
