#include "raft/entry_checksum.h"

#include <cstring>
#include <type_traits>

#include "base/crc32c.h"

namespace multiraft::raft {

uint32_t group_checksum_seed(GroupId group) {
  char bytes[sizeof group.value];
  std::memcpy(bytes, &group.value, sizeof bytes);
  return crc32c({bytes, sizeof bytes});
}

uint32_t payload_checksum(uint32_t seed, std::string_view payload) { return crc32c(payload, seed); }

uint32_t entry_checksum(uint32_t payload_checksum, Term term, LogIndex index, EntryType type,
                        size_t size) {
  struct Place {
    uint64_t term;
    uint64_t index;
    uint32_t type;
    uint32_t size;
  };
  static_assert(sizeof(Place) == 24 && std::has_unique_object_representations_v<Place>);
  const Place place{term.value, index.value, static_cast<uint32_t>(type),
                    static_cast<uint32_t>(size)};
  char bytes[sizeof place];
  std::memcpy(bytes, &place, sizeof bytes);
  return crc32c({bytes, sizeof bytes}, payload_checksum);
}

bool is_intact(uint32_t seed, const Entry& entry) {
  return entry.checksum == entry_checksum(payload_checksum(seed, entry.data), entry.term,
                                          entry.index, entry.type, entry.data.size());
}

void seal(uint32_t seed, Entry& entry) {
  entry.checksum = entry_checksum(payload_checksum(seed, entry.data), entry.term, entry.index,
                                  entry.type, entry.data.size());
}

}  // namespace multiraft::raft
