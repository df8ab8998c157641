// Writes what a corpus begins with: one valid input or a few of every structured fuzz target, made
// by the encoders of the product. To be run again after a format has changed.
//
//   fuzz_seeds FUZZ_DIRECTORY

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "cluster/messages.h"
#include "cluster/registry_restore.h"
#include "env/sim/sim_file_system.h"
#include "fuzz/log/directory.h"
#include "host/propose_codec.h"
#include "host/snapshot_file.h"
#include "kv/command.h"
#include "kv/rocks_keys.h"
#include "log/testing/simulated_log.h"
#include "raft/conf_change.h"
#include "raft/encoding.h"
#include "registry/codec.h"
#include "registry/command.h"
#include "registry/testing/commands.h"
#include "state_dir/known_nodes.h"
#include "state_dir/node_identity.h"
#include "transport/snapshot/chunk_codec.h"
#include "wire/batch.h"
#include "wire/handshake.h"
#include "wire/snapshot_frames.h"

using namespace multiraft;

namespace {

std::filesystem::path g_root;
size_t g_written = 0;

void put(std::string_view corpus, std::string_view name, std::string_view bytes) {
  const auto folder = g_root / corpus;
  std::filesystem::create_directories(folder);
  std::ofstream(folder / ("seed-" + std::string(name)), std::ios::binary) << bytes;
  ++g_written;
}
/// Behind the byte that says which structure it is.
void put(std::string_view corpus, std::string_view name, uint8_t kind, std::string_view bytes) {
  put(corpus, name, std::string(1, static_cast<char>(kind)).append(bytes));
}

template <class T>
std::string encoded(const T& value) {
  std::string bytes;
  ByteWriter out(bytes);
  raft::encode(value, out);
  return bytes;
}

/// A u16 length and the bytes, as fuzz::Input::sized() takes them.
std::string sized(std::string_view bytes) {
  std::string out;
  ByteWriter writer(out);
  writer.u16(static_cast<uint16_t>(bytes.size()));
  writer.bytes(bytes);
  return out;
}

raft::ConfState joint_conf() {
  raft::ConfState conf;
  conf.voters = {ReplicaId(1), ReplicaId(2)};
  conf.voters_outgoing = {ReplicaId(1), ReplicaId(2), ReplicaId(3)};
  conf.learners = {ReplicaId(4)};
  conf.learners_next = {ReplicaId(3)};
  conf.auto_leave = true;
  return conf;
}

void raft_seeds() {
  const raft::ConfState joint = joint_conf();
  raft::ConfState plain;
  plain.voters = {ReplicaId(1), ReplicaId(2), ReplicaId(3)};
  raft::ConfChange one;
  one.v1 = true;
  one.changes = {{raft::ConfChangeOp::kAddLearner, ReplicaId(9)}};
  raft::ConfChange many;
  many.transition = raft::ConfChangeTransition::kJointExplicit;
  many.changes = {{raft::ConfChangeOp::kAddVoter, ReplicaId(5)},
                  {raft::ConfChangeOp::kRemove, ReplicaId(1)}};
  many.context = SharedBytes::copy_of("why");
  constexpr std::string_view kCorpus = "raft/corpus/encoding";
  put(kCorpus, "hard_state", 0, encoded(raft::HardState{Term(5), ReplicaId(2), LogIndex(7)}));
  put(kCorpus, "conf_state", 1, encoded(joint));
  put(kCorpus, "snapshot", 2, encoded(log::snapshot_at(9, 3)));
  put(kCorpus, "change", 3, raft::encode_conf_change(one).view());
  put(kCorpus, "changes", 4, raft::encode_conf_change(many).view());
  put(kCorpus, "leave", 5, encoded(joint));
  put(kCorpus, "enter", 5, encoded(plain).append(raft::encode_conf_change(many).view()));
}

std::vector<std::pair<std::string, std::string>> log_programs() {
  std::vector<std::pair<std::string, std::string>> programs;
  log::LogHarness h;
  const auto note = [&](const char* name) {
    h.close();
    programs.emplace_back(name, fuzz::program_of(h.env().file_system(), h.options.directory));
    MR_ASSERT(h.open().is_ok());
  };
  MR_ASSERT(h.open().is_ok());
  note("empty");
  h.create(1);
  h.create(2, 5, log::snapshot_at(10, 2));
  h.append(1, 1, 3, 1, 8);
  h.append(2, 11, 2, 2, 8);
  h.save_state(1, {Term(3), ReplicaId(1), LogIndex(2)});
  h.settle();
  note("two_groups");
  h.append(1, 3, 2, 4, 8);  // Replaces the third.
  h.announce(2, log::snapshot_at(20, 3));
  h.settle();
  note("announced");
  h.install(2, log::snapshot_at(20, 3));
  h.compact(1, 2);
  h.create(3);
  h.settle();
  h.remove(3);
  h.settle();
  note("installed");
  for (uint64_t i = 5; i < 18; ++i) {
    h.append(1, i, 1, 5, 8);
    h.settle();
  }
  note("footer");
  for (uint64_t i = 18; i < 90; ++i) {
    h.append(1, i, 1, 5, 8);
    if (i % 10 == 0) h.compact(1, i - 3);
    h.settle();
  }
  note("rewritten");
  return programs;
}

void log_seeds() {
  state_dir::NodeFacts facts;
  facts.cluster = ClusterId(9);
  facts.node = NodeId(3);
  facts.uuid = {1, 2};
  facts.phase = state_dir::NodePhase::kMember;
  facts.life = 5;
  for (const auto& [name, program] : log_programs()) {
    put("log/corpus/recovery", name + "_scan", 0, program);
    put("log/corpus/recovery", name + "_footers", 1, program);
    put("inspect/corpus/walk", name, 0, program);
    put("inspect/corpus/walk", name + "_node", 1, sized(state_dir::encode_facts(facts)) + program);
  }
}

void kv_seeds() {
  put("kv/corpus/table", "position", kv::encode_position({LogIndex(7), Term(2)}));
  put("kv/corpus/table", "value", std::string("\x07\0\0\0\0\0\0\0value", 13));
}

void wire_seeds() {
  const auto frame = [](const char* name, wire::FrameKind kind, std::string_view bytes) {
    put("wire/corpus/frame", name, bytes);
    put("wire/corpus/payload", name, static_cast<uint8_t>(kind),
        bytes.substr(wire::kFrameHeaderBytes));
  };
  wire::Hello hello;
  hello.cluster = ClusterId(9);
  hello.node = NodeId(2);
  hello.incarnation = 77;
  hello.state = {1, 2};
  hello.life = 5;
  hello.recovered = {100, 200};
  frame("hello", wire::FrameKind::kHello, wire::encode(hello));
  wire::HelloReply reply;
  reply.code = StatusCode::kConflict;
  reply.node = NodeId(1);
  reply.text = "no";
  frame("hello_reply", wire::FrameKind::kHelloReply, wire::encode(reply));
  const wire::BootRecord life{NodeId(2), {1, 2}, 6, 78, {101, 200}};
  reply.code = StatusCode::kStateRollback;
  reply.known = life;
  frame("hello_older", wire::FrameKind::kHelloReply, wire::encode(reply));
  frame("lives", wire::FrameKind::kLives, wire::encode(std::vector<wire::BootRecord>{life, life}));
  frame("received", wire::FrameKind::kReceived, wire::encode(wire::Received{100}));
  wire::SnapshotHeader header{
      GroupId(5), ReplicaId::make(NodeId(1), 2), ReplicaId::make(NodeId(2), 3), Term(4),
      6,          log::snapshot_at(8, 4)};
  frame("snapshot_header", wire::FrameKind::kSnapshotHeader, wire::encode(header));
  frame("snapshot_end", wire::FrameKind::kSnapshotEnd, wire::encode(wire::SnapshotEnd{2, 300, 1}));
  frame("snapshot_ack", wire::FrameKind::kSnapshotAck,
        wire::encode(wire::SnapshotAck{3, true, StatusCode::kNoSpace, "full"}));

  wire::GroupMessage message;
  message.group = GroupId(5);
  message.message.type = raft::MessageType::kApp;
  message.message.from = header.from;
  message.message.to = header.to;
  message.message.term = Term(4);
  message.message.entries = log::make_entries(3, 2, 4, 8);
  wire::BatchEncoder encoder;
  encoder.add(message);
  encoder.add(
      wire::Request{1, wire::RequestKind::kPropose, GroupId(5), kv::encode_put("key", "value")});
  encoder.add(wire::Response{1, StatusCode::kOk, SharedBytes::copy_of("answer")});
  encoder.add(wire::Durable{100});
  std::string batch;
  for (const std::string_view part : encoder.finish()) batch += part;
  frame("batch", wire::FrameKind::kBatch, batch);
}

void host_seeds() {
  host::WriteResult result;
  result.index = LogIndex(8);
  result.term = Term(3);
  result.leader = ReplicaId::make(NodeId(2), 1);
  result.result.data = SharedBytes::copy_of("data");
  put("host/corpus/propose", "ok", 0, host::encode_write_result(result).view());
  result.status = Status(StatusCode::kNotLeader, "elsewhere");
  put("host/corpus/propose", "error", static_cast<uint8_t>(StatusCode::kNotLeader),
      host::encode_write_result(result).view());

  env::SimFileSystem files;
  const auto file = [&](const char* name, std::initializer_list<std::string_view> chunks) {
    auto writer =
        host::SnapshotFileWriter::create(files, name,
                                         {GroupId(4), ReplicaId::make(NodeId(2), 1),
                                          raft::Snapshot{LogIndex(9), Term(2), joint_conf()}});
    MR_ASSERT(writer.is_ok());
    for (const std::string_view chunk : chunks) MR_ASSERT((*writer)->append(chunk).is_ok());
    MR_ASSERT((*writer)->finish().is_ok());
    put("host/corpus/snapshot_file", name, 0, *files.read_file(name));
    put("host/corpus/snapshot_file", std::string(name) + "_raw", 1, *files.read_file(name));
  };
  file("no_chunks", {});
  file("chunks", {"first", "second one", "3"});
}

void transport_seeds() {
  transport::ChunkPacker packer;
  std::string frames;
  for (const std::string& content : {std::string(500, 'a'), std::string("short")}) {
    const wire::SnapshotChunk chunk = packer.pack(content);
    const std::string frame = wire::encode_head(chunk) + std::string(chunk.data);
    frames += sized(std::string_view(frame).substr(wire::kFrameHeaderBytes));
  }
  put("transport/corpus/chunk", "frames", 0, frames);
  put("transport/corpus/chunk", "contents", 1,
      "\x0f" + sized("again and again ") + std::string(1, '\0') + sized("once"));
}

std::vector<registry::RegistryCommand> commands() {
  using namespace registry::testing;
  return {bootstrap(),
          join(2),
          join(3),
          create(9, {1, 2, 3}),
          registry::AddMember{GroupId(1), NodeId(3), false},
          registry::SetRole{GroupId(1), ReplicaId::make(NodeId(3), 9), true},
          remove(9, 2),
          registry::ReplicaRemoved{GroupId(9), ReplicaId::make(NodeId(2), 7)},
          registry::UpdateNode{NodeId(2), uuid_of(2), "a:1", "b:2"},
          registry::RaiseClusterVersion{2},
          registry::RestoreRegistry{NodeId(2), uuid_of(2), ReplicaId::make(NodeId(2), 7), "state"},
          join(2, 1, 2, uuid_of(2)),
          registry::MarkNodeLeaving{NodeId(3)},
          registry::SetRegistryVoters{{ReplicaId::make(NodeId(1), 1)}},
          registry::MemberSettled{GroupId(1), ReplicaId::make(NodeId(2), 4), true}};
}

void registry_seeds() {
  registry::testing::Applied apply;
  std::string all;
  for (const registry::RegistryCommand& command : commands()) {
    all += sized(registry::encode_command(command).view());
    apply(command);
  }
  put("registry/corpus/registry", "commands", sized("") + all);
  registry::RegistryWriter writer(apply.registry.share());
  std::string snapshot;
  for (std::string piece;;) {
    writer.next(100, piece);
    if (piece.empty()) break;
    snapshot += piece;
  }
  put("registry/corpus/registry", "snapshot", sized(snapshot));
  put("registry/corpus/registry", "both",
      sized(snapshot) +
          sized(registry::encode_command(registry::testing::create(12, {1, 2})).view()));
}

void meta_seeds() {
  registry_seeds();
  state_dir::NodeFacts facts;
  facts.cluster = ClusterId(9);
  facts.node = NodeId(3);
  facts.uuid = {1, 2};
  facts.serial_floor = 4;
  facts.phase = state_dir::NodePhase::kMember;
  facts.life = 5;
  put("state_dir/corpus/files", "node", 0, state_dir::encode_facts(facts));
  state_dir::KnownNodes book;
  book.version = LogIndex(8);
  book.nodes = {{NodeId(1), "a:1"}, {NodeId(2), "b:2"}};
  book.boots = {{NodeId(2), {1, 2}, 6, 78, {101, 200}}};
  put("state_dir/corpus/files", "peers", 1, state_dir::encode_known_nodes(book));
  put("state_dir/corpus/files", "plan", 4,
      cluster::encode_plan({ReplicaId::make(NodeId(3), 9), "state"}));

  constexpr std::string_view kCorpus = "cluster/corpus/messages";
  cluster::JoinRequest request{ClusterId(9), NodeId(3), {1, 2}, "a:1", "b:2", GroupId(1)};
  put(kCorpus, "join", 0, cluster::encode(request).view());
  cluster::JoinAnswer answer;
  answer.kind = cluster::JoinAnswer::Kind::kAccepted;
  answer.cluster = ClusterId(9);
  answer.registry_replica = ReplicaId::make(NodeId(3), 4);
  answer.serial_floor = 2;
  answer.nodes = book.nodes;
  put(kCorpus, "joined", 1, cluster::encode(answer).view());
  const cluster::AdminRequest questions[] = {cluster::MembershipCheck{GroupId(1), ReplicaId(5)},
                                             cluster::RemovedNotice{GroupId(1), ReplicaId(5)},
                                             cluster::LeaderQuery{GroupId(1)},
                                             cluster::IdentityProbe{},
                                             cluster::MembersQuery{},
                                             cluster::RegistryQuery{}};
  for (const cluster::AdminRequest& question : questions) {
    put(kCorpus, "admin_" + std::to_string(question.index()), 2, cluster::encode(question).view());
  }
  put(kCorpus, "verdict", 3, cluster::encode(cluster::Verdict::kRemoved).view());
  put(kCorpus, "uuid", 4, cluster::encode(StateDirId{1, 2}).view());
  put(kCorpus, "leader_known", 5, cluster::encode_leader_known(true).view());
  registry::RegistryOutcome outcome;
  outcome.replica = ReplicaId::make(NodeId(3), 4);
  put(kCorpus, "outcome", 6,
      std::string(1, '\0').append(registry::encode_outcome(outcome).data.view()));
}

void server_seeds() {
  constexpr std::string_view kCorpus = "server/corpus/options";
  put(kCorpus, "founder", "-state_dir=/x\n-id\n1\n-raft\n:8080\n--api=:9090");
  put(kCorpus, "joiner",
      "-state_dir\n/x/\n-id=2\n-join=[::1]:8080\n-initial_group_id=7\n-redirect=false");
  put(kCorpus, "tuned",
      "-state_dir=/x\n-id=4294967294\n-heartbeat_ms=50\n-election_ms=500\n-engine=memory\n"
      "-read=lease\n-log_format=json\n-log_level=warn\n-log_writer=uring\n-log_segment_mb=9\n"
      "-workers=64\n-snapshot_mb_per_s=0\n-log_keep_entries=1\n-check_config");
  put(kCorpus, "file",
      std::string("-config=c\n-id=1") + '\0' +
          "# comment\nstate_dir = /x\nworkers= 2\n\nraft=:1\r\n");
  put(kCorpus, "advertise", "-state_dir=x\n-id=1\n-advertise_raft=h:1\n-advertise_api=h:2");
  put(kCorpus, "help", "-help");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds FUZZ_DIRECTORY\n");
    return 2;
  }
  g_root = argv[1];
  raft_seeds();
  log_seeds();
  kv_seeds();
  wire_seeds();
  host_seeds();
  transport_seeds();
  meta_seeds();
  server_seeds();
  std::printf("%zu seeds\n", g_written);
  return 0;
}
