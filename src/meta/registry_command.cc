#include "meta/registry_command.h"

#include <utility>

#include "base/bytes.h"
#include "base/limits.h"

namespace multiraft::meta {
namespace {

constexpr uint8_t kCommandVersion = 1;

// Numbers of the commands in the log: values stay.
enum class Kind : uint8_t {
  kBootstrap = 1,
  kRegisterNode = 2,
  kCreateGroup = 3,
  kAddMember = 4,
  kRemoveMember = 5,
  kReplicaRemoved = 6,
  kSetRole = 7,
  kUpdateNode = 8,
  kMarkNodeLeaving = 9,
};

// One list of fields a command, used in both directions: `Coder` is Encoder or Decoder.
template <class Coder>
void fields(Coder& io, Bootstrap& c) {
  io(c.cluster), io(c.node), io(c.uuid), io(c.raft_address), io(c.api_address), io(c.initial_group);
}
template <class Coder>
void fields(Coder& io, RegisterNode& c) {
  io(c.node), io(c.uuid), io(c.replaces), io(c.raft_address), io(c.api_address);
  io(c.initial_group);
}
template <class Coder>
void fields(Coder& io, CreateGroup& c) {
  io(c.group), io(c.nodes);
}
template <class Coder>
void fields(Coder& io, AddMember& c) {
  io(c.group), io(c.node), io(c.voter);
}
template <class Coder>
void fields(Coder& io, RemoveMember& c) {
  io(c.group), io(c.node);
}
template <class Coder>
void fields(Coder& io, ReplicaRemoved& c) {
  io(c.group), io(c.replica);
}
template <class Coder>
void fields(Coder& io, SetRole& c) {
  io(c.group), io(c.replica), io(c.voter);
}
template <class Coder>
void fields(Coder& io, UpdateNode& c) {
  io(c.node), io(c.uuid), io(c.raft_address), io(c.api_address);
}
template <class Coder>
void fields(Coder& io, MarkNodeLeaving& c) {
  io(c.node);
}

struct Encoder {
  ByteWriter& out;
  template <class Tag>
  void operator()(StrongId<Tag>& id) {
    out.u64(id.value);
  }
  void operator()(NodeUuid& uuid) { out.u64(uuid.high), out.u64(uuid.low); }
  void operator()(std::string& text) { out.sized(text); }
  void operator()(bool& flag) { out.u8(flag ? 1 : 0); }
  void operator()(std::vector<NodeId>& ids) {
    out.u32(static_cast<uint32_t>(ids.size()));
    for (NodeId& id : ids) out.u64(id.value);
  }
};

struct Decoder {
  ByteReader& in;
  template <class Tag>
  void operator()(StrongId<Tag>& id) {
    id.value = in.u64();
  }
  void operator()(NodeUuid& uuid) {
    uuid.high = in.u64();
    uuid.low = in.u64();
  }
  void operator()(std::string& text) { text = in.sized(); }
  void operator()(bool& flag) {
    const uint8_t value = in.u8();
    if (value > 1) in.fail();
    flag = value == 1;
  }
  void operator()(std::vector<NodeId>& ids) {
    const uint32_t count = in.u32();
    if (count > in.remaining() / sizeof(uint64_t)) {
      in.fail();
      return;
    }
    ids.resize(count);
    for (NodeId& id : ids) id.value = in.u64();
  }
};

template <class Command>
RegistryCommand decoded(ByteReader& in) {
  Command command;
  Decoder decoder{in};
  fields(decoder, command);
  return command;
}

RegistryCommand decode_kind(Kind kind, ByteReader& in) {
  switch (kind) {
    case Kind::kBootstrap:
      return decoded<Bootstrap>(in);
    case Kind::kRegisterNode:
      return decoded<RegisterNode>(in);
    case Kind::kCreateGroup:
      return decoded<CreateGroup>(in);
    case Kind::kAddMember:
      return decoded<AddMember>(in);
    case Kind::kRemoveMember:
      return decoded<RemoveMember>(in);
    case Kind::kReplicaRemoved:
      return decoded<ReplicaRemoved>(in);
    case Kind::kSetRole:
      return decoded<SetRole>(in);
    case Kind::kUpdateNode:
      return decoded<UpdateNode>(in);
    case Kind::kMarkNodeLeaving:
      return decoded<MarkNodeLeaving>(in);
  }
  in.fail();
  return {};
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
      return {StatusCode::kOverloaded, text};
    case RegistryCode::kJudgeAgain:
      return {StatusCode::kUnavailable, text};
  }
  return {StatusCode::kInternal, "unknown outcome of a registry command"};
}

SharedBytes encode_command(const RegistryCommand& command) {
  std::string bytes;
  ByteWriter out(bytes);
  out.u8(kCommandVersion);
  // The variant lists the commands in the order of their numbers.
  out.u8(static_cast<uint8_t>(command.index() + 1));
  Encoder encoder{out};
  RegistryCommand copy = command;
  std::visit([&](auto& c) { fields(encoder, c); }, copy);
  return SharedBytes::copy_of(bytes);
}

Result<RegistryCommand> decode_command(std::string_view bytes) {
  ByteReader in(bytes);
  const uint8_t version = in.u8();
  if (version != kCommandVersion) {
    return Status(StatusCode::kCorruption,
                  "registry command of unknown version " + std::to_string(version));
  }
  RegistryCommand command = decode_kind(static_cast<Kind>(in.u8()), in);
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

}  // namespace multiraft::meta
