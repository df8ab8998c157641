#include "registry/command.h"

#include <array>
#include <utility>

#include "base/bytes.h"
#include "base/field_codec.h"

namespace multiraft::registry {
namespace {

constexpr uint8_t kCommandVersion = 1;

/// The fields of every command, in the order of the bytes.
template <class Io>
struct CommandFields {
  Io& io;
  void operator()(Bootstrap& c) {
    io(c.cluster);
    io(c.node);
    io(c.uuid);
    io(c.raft_address);
    io(c.api_address);
    io(c.initial_group);
    io(c.versions);
  }
  void operator()(RegisterNode& c) {
    io(c.node);
    io(c.uuid);
    io(c.replaces);
    io(c.raft_address);
    io(c.api_address);
    io(c.initial_group);
    io(c.versions);
  }
  void operator()(CreateGroup& c) {
    io(c.group);
    io(c.nodes);
  }
  void operator()(AddMember& c) {
    io(c.group);
    io(c.node);
    io(c.voter);
  }
  void operator()(RemoveMember& c) {
    io(c.group);
    io(c.node);
  }
  void operator()(ReplicaRemoved& c) {
    io(c.group);
    io(c.replica);
  }
  void operator()(SetRole& c) {
    io(c.group);
    io(c.replica);
    io(c.voter);
  }
  void operator()(UpdateNode& c) {
    io(c.node);
    io(c.uuid);
    io(c.raft_address);
    io(c.api_address);
    io(c.versions);
  }
  void operator()(MarkNodeLeaving& c) { io(c.node); }
  void operator()(SetRegistryVoters& c) { io(c.voters); }
  void operator()(MemberSettled& c) {
    io(c.group);
    io(c.replica);
    io(c.voter);
  }
  void operator()(RaiseClusterVersion& c) { io(c.version); }
  void operator()(RestoreRegistry& c) {
    io(c.node);
    io(c.uuid);
    io(c.replica);
    io(c.state);
  }
};

/// By number, from 1.
constexpr std::array<uint32_t, std::variant_size_v<RegistryCommand>> kVersionNeeded = {
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/// An empty command of that number. The variant lists them in the order of their numbers, from 1.
template <size_t I = 0>
bool make_command(uint8_t kind, RegistryCommand& command) {
  if constexpr (I == std::variant_size_v<RegistryCommand>) {
    return false;
  } else {
    if (kind != I + 1) return make_command<I + 1>(kind, command);
    command.emplace<I>();
    return true;
  }
}

}  // namespace

Status RegistryOutcome::status() const {
  switch (code) {
    case RegistryCode::kOk:
      return Status::ok();
    case RegistryCode::kInvalid:
      return {StatusCode::kInvalidArgument, text};
    case RegistryCode::kNotFound:
      return {StatusCode::kNotFound, text};
    case RegistryCode::kConflict:
      return {StatusCode::kConflict, text};
    case RegistryCode::kExhausted:
      // Not kOverloaded: to try again does not help before something else has changed.
      return {StatusCode::kConflict, text};
    case RegistryCode::kStaleDecision:
      return {StatusCode::kUnavailable, text};
  }
  return {StatusCode::kInternal, "unknown outcome of a registry command"};
}

uint32_t version_needed(const RegistryCommand& command) { return kVersionNeeded[command.index()]; }

SharedBytes encode_command(const RegistryCommand& command) {
  std::string bytes;
  ByteWriter out(bytes);
  out.u8(kCommandVersion);
  out.u8(static_cast<uint8_t>(command.index() + 1));
  FieldEncoder io{out};
  RegistryCommand copy = command;
  std::visit(CommandFields<FieldEncoder>{io}, copy);
  return SharedBytes::copy_of(bytes);
}

Result<RegistryCommand> decode_command(std::string_view bytes) {
  ByteReader in(bytes);
  const uint8_t version = in.u8();
  const uint8_t number = in.u8();
  if (in.failed()) return Status(StatusCode::kCorruption, "malformed registry command");
  RegistryCommand command;
  if (version != kCommandVersion || !make_command(number, command)) {
    return Status(StatusCode::kUnsupported, "registry command " + std::to_string(number) +
                                                " of version " + std::to_string(version) +
                                                " is not known to this program");
  }
  FieldDecoder io{in};
  std::visit(CommandFields<FieldDecoder>{io}, command);
  if (!in.complete()) return Status(StatusCode::kCorruption, "malformed registry command");
  return command;
}

ApplyResult encode_outcome(const RegistryOutcome& outcome) {
  ApplyResult result;
  result.code = static_cast<uint64_t>(outcome.code);
  std::string bytes;
  if (outcome.code == RegistryCode::kOk) {
    ByteWriter out(bytes);
    out.u64(outcome.replica.value);
    out.u32(outcome.serial_floor);
  } else {
    bytes = outcome.text;
  }
  result.data = SharedBytes::copy_of(bytes);
  return result;
}

Result<RegistryOutcome> decode_outcome(const ApplyResult& result) {
  RegistryOutcome outcome;
  outcome.code = static_cast<RegistryCode>(result.code);
  if (outcome.code != RegistryCode::kOk) {
    outcome.text = result.data.view();
    return outcome;
  }
  ByteReader in(result.data);
  outcome.replica.value = in.u64();
  outcome.serial_floor = in.u32();
  if (!in.complete()) return Status(StatusCode::kInternal, "malformed answer of the registry");
  return outcome;
}

}  // namespace multiraft::registry
