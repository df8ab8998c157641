#include "cluster/messages.h"

#include <utility>

#include "base/bytes.h"
#include "base/field_codec.h"

namespace multiraft::cluster {
namespace {

constexpr uint8_t kVersion = 1;

// Shared by both directions: `M` is const or not.
template <class Io, class M>
void join_request_fields(Io& io, M& m) {
  io(m.cluster);
  io(m.node);
  io(m.uuid);
  io(m.raft_address);
  io(m.api_address);
  io(m.initial_group);
  io(m.replaces_lost_disk);
  io(m.versions);
}
template <class Io, class M>
void join_answer_fields(Io& io, M& m) {
  io(m.text);
  io(m.leader_address);
  io(m.cluster);
  io(m.registry_replica);
  io(m.serial_floor);
  io(m.nodes);
}

template <class Io, class M>
void members_fields(Io& io, M& m) {
  io(m.version);
  io(m.self);
  io(m.nodes);
}

template <class Io, class M>
void registry_position_fields(Io& io, M& m) {
  io(m.restorations);
  io(m.leader_known);
  io(m.last_term);
  io(m.last_index);
}

template <class Io>
struct AdminFields {
  Io& io;
  template <class M>
  void group_and_replica(M& m) {
    io(m.group);
    io(m.replica);
  }
  void operator()(MembershipCheck& m) { group_and_replica(m); }
  void operator()(RemovedNotice& m) { group_and_replica(m); }
  void operator()(LeaderQuery& m) { io(m.group); }
  void operator()(IdentityProbe&) {}
  void operator()(MembersQuery&) {}
  void operator()(LeaderHint& m) { io(m.group); }
  void operator()(RegistryQuery&) {}
};

template <size_t I = 0>
bool make_admin(uint8_t kind, AdminRequest& request) {
  if constexpr (I == std::variant_size_v<AdminRequest>) {
    return false;
  } else {
    if (kind != I + 1) return make_admin<I + 1>(kind, request);
    request.emplace<I>();
    return true;
  }
}

Status malformed(const char* what) {
  return Status(StatusCode::kCorruption, std::string("malformed ") + what);
}
Status check_version(ByteReader& in) {
  const uint8_t version = in.u8();
  if (in.failed() || version == kVersion) return Status::ok();
  return Status(StatusCode::kCorruption,
                "version " + std::to_string(version) + " of the membership protocol is not known");
}

}  // namespace

SharedBytes encode(const JoinRequest& request) {
  std::string bytes;
  ByteWriter out(bytes);
  out.u8(kVersion);
  FieldEncoder io{out};
  join_request_fields(io, request);
  return SharedBytes::copy_of(bytes);
}

Result<JoinRequest> decode_join_request(std::string_view bytes) {
  ByteReader in(bytes);
  MR_RETURN_IF_ERROR(check_version(in));
  JoinRequest request;
  FieldDecoder io{in};
  join_request_fields(io, request);
  if (!in.complete()) return malformed("request to join");
  return request;
}

SharedBytes encode(const JoinAnswer& answer) {
  std::string bytes;
  ByteWriter out(bytes);
  out.u8(kVersion);
  out.u8(static_cast<uint8_t>(answer.kind));
  FieldEncoder io{out};
  join_answer_fields(io, answer);
  return SharedBytes::copy_of(bytes);
}

Result<JoinAnswer> decode_join_answer(std::string_view bytes) {
  ByteReader in(bytes);
  MR_RETURN_IF_ERROR(check_version(in));
  JoinAnswer answer;
  const uint8_t kind = in.u8();
  FieldDecoder io{in};
  join_answer_fields(io, answer);
  if (!in.complete() || kind < static_cast<uint8_t>(JoinAnswer::Kind::kAccepted) ||
      kind > static_cast<uint8_t>(JoinAnswer::Kind::kRefused)) {
    return malformed("answer to a join");
  }
  answer.kind = static_cast<JoinAnswer::Kind>(kind);
  return answer;
}

SharedBytes encode(const AdminRequest& request) {
  std::string bytes;
  ByteWriter out(bytes);
  out.u8(kVersion);
  out.u8(static_cast<uint8_t>(request.index() + 1));
  FieldEncoder io{out};
  AdminRequest copy = request;
  std::visit(AdminFields<FieldEncoder>{io}, copy);
  return SharedBytes::copy_of(bytes);
}

Result<AdminRequest> decode_admin_request(std::string_view bytes) {
  ByteReader in(bytes);
  MR_RETURN_IF_ERROR(check_version(in));
  AdminRequest request;
  if (!make_admin(in.u8(), request)) return malformed("question of a node");
  FieldDecoder io{in};
  std::visit(AdminFields<FieldDecoder>{io}, request);
  if (!in.complete()) return malformed("question of a node");
  return request;
}

SharedBytes encode(Verdict verdict) {
  const char byte = static_cast<char>(verdict);
  return SharedBytes::copy_of({&byte, 1});
}

Result<Verdict> decode_verdict(std::string_view bytes) {
  if (bytes.size() != 1 || bytes[0] < 0 || bytes[0] > static_cast<char>(Verdict::kSuperseded)) {
    return malformed("verdict");
  }
  return static_cast<Verdict>(bytes[0]);
}

SharedBytes encode(const RegistryPosition& position) {
  std::string bytes;
  ByteWriter out(bytes);
  out.u8(kVersion);
  FieldEncoder io{out};
  registry_position_fields(io, position);
  return SharedBytes::copy_of(bytes);
}

Result<RegistryPosition> decode_registry_position(std::string_view bytes) {
  ByteReader in(bytes);
  MR_RETURN_IF_ERROR(check_version(in));
  RegistryPosition position;
  FieldDecoder io{in};
  registry_position_fields(io, position);
  if (!in.complete()) return malformed("position of a registry");
  return position;
}

SharedBytes encode(const Members& members) {
  std::string bytes;
  ByteWriter out(bytes);
  out.u8(kVersion);
  FieldEncoder io{out};
  members_fields(io, members);
  return SharedBytes::copy_of(bytes);
}

Result<Members> decode_members(std::string_view bytes) {
  ByteReader in(bytes);
  MR_RETURN_IF_ERROR(check_version(in));
  Members members;
  FieldDecoder io{in};
  members_fields(io, members);
  if (!in.complete()) return malformed("list of members");
  return members;
}

SharedBytes encode_leader_known(bool known) {
  const char byte = known ? 1 : 0;
  return SharedBytes::copy_of({&byte, 1});
}

Result<bool> decode_leader_known(std::string_view bytes) {
  if (bytes.size() != 1 || bytes[0] < 0 || bytes[0] > 1) return malformed("answer about a leader");
  return bytes[0] == 1;
}

SharedBytes encode_leader_hint(NodeId leader) {
  std::string bytes;
  ByteWriter out(bytes);
  out.u64(leader.value);
  return SharedBytes::copy_of(bytes);
}

Result<NodeId> decode_leader_hint(std::string_view bytes) {
  ByteReader in(bytes);
  const NodeId leader(in.u64());
  if (!in.complete()) return malformed("hint of a leader");
  return leader;
}

SharedBytes encode(const StateDirId& uuid) {
  std::string bytes;
  ByteWriter out(bytes);
  FieldEncoder{out}(uuid);
  return SharedBytes::copy_of(bytes);
}

Result<StateDirId> decode_uuid(std::string_view bytes) {
  ByteReader in(bytes);
  StateDirId uuid;
  FieldDecoder{in}(uuid);
  if (!in.complete()) return malformed("uuid");
  return uuid;
}

}  // namespace multiraft::cluster
