#pragma once
// The registry as bytes: what its snapshots and its hash are made of (docs/formats/meta.md).

#include <memory>
#include <string>
#include <string_view>

#include "multiraft/status.h"
#include "registry/view.h"

namespace multiraft::registry {

/// Encodes a state piece by piece. The same state gives the same bytes, however they are cut.
class RegistryWriter {
 public:
  explicit RegistryWriter(std::shared_ptr<const RegistryView> view);
  ~RegistryWriter();

  /// Replaces `piece` by the next one, of about `bytes_target` bytes; empty at the end.
  void next(size_t bytes_target, std::string& piece);

 private:
  std::shared_ptr<const RegistryView> view_;
  std::vector<const GroupRecord*> groups_;
  size_t nodes_written_ = 0;
  size_t groups_written_ = 0;
  bool header_written_ = false;
};

/// Decodes what a RegistryWriter wrote. Checks everything that later code relies on: the bytes may
/// come from anywhere.
class RegistryReader {
 public:
  /// kCorruption with what is wrong.
  static Result<RegistryView> read(std::string_view bytes);
};

/// Equal for equal states.
uint64_t hash_of(std::shared_ptr<const RegistryView> view);

}  // namespace multiraft::registry
