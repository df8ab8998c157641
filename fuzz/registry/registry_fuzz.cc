// A snapshot of the registry (a u16 length and that many bytes; none: an empty registry), then
// commands in the same form. A snapshot that is taken is given back byte by byte; commands that
// decode encode to the same bytes, and whatever they do to the state, a replica that gets its
// snapshot agrees.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "fuzz/input.h"
#include "registry/codec.h"
#include "registry/command.h"
#include "registry/machine.h"

using namespace multiraft;

namespace {

constexpr size_t kCommandsMax = 200;

bool restore(StateMachine& machine, std::string_view bytes, uint64_t index) {
  auto writer = machine.restore(LogIndex(index), Term(1));
  MR_ASSERT(writer.is_ok());
  MR_ASSERT((*writer)->append(bytes).is_ok());
  const Status status = (*writer)->finish();
  MR_ASSERT(status.is_ok() || status.code() == StatusCode::kCorruption ||
            status.code() == StatusCode::kUnsupported);
  return status.is_ok();
}

std::string snapshot_of(StateMachine& machine, size_t piece_bytes) {
  auto reader = machine.snapshot();
  MR_ASSERT(reader.is_ok());
  std::string all;
  std::string piece;
  do {
    MR_ASSERT((*reader)->next(piece_bytes, piece).is_ok());
    all += piece;
  } while (!piece.empty());
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(fuzz::view_of(data, size));
  registry::RegistryEngine engine;
  auto machine = engine.open(registry::kRegistryGroup);
  const std::string_view given = input.sized();
  if (!given.empty()) {
    if (!restore(**machine, given, 1)) return 0;
    MR_ASSERT(snapshot_of(**machine, 64) == given);
  }

  uint64_t index = 1;
  while (!input.done() && index < kCommandsMax) {
    const std::string_view bytes = input.sized();
    auto command = registry::decode_command(bytes);
    if (!(*machine)->check(bytes)) {
      MR_ASSERT(command.status().code() == StatusCode::kUnsupported);
      continue;
    }
    if (command) MR_ASSERT(registry::encode_command(*command).view() == bytes);
    const Command commands[] = {{LogIndex(++index), Term(1), bytes}};
    ApplyResult results[1];
    MR_ASSERT((*machine)->apply(commands, LogIndex(index), Term(1), results).is_ok());
    auto outcome = registry::decode_outcome(results[0]);
    MR_ASSERT(outcome.is_ok());
    MR_ASSERT(command || outcome->code == registry::RegistryCode::kInvalid);
  }

  const std::string snapshot = snapshot_of(**machine, 64);
  MR_ASSERT(snapshot == snapshot_of(**machine, size_t{1} << 20));
  registry::RegistryEngine other_engine;
  auto other = other_engine.open(registry::kRegistryGroup);
  MR_ASSERT(restore(**other, snapshot, index));
  MR_ASSERT(*(*other)->hash() == *(*machine)->hash());
  return 0;
}
