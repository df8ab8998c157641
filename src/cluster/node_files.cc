#include "cluster/node_files.h"

#include <utility>

namespace multiraft::cluster {

Result<state_dir::KnownNodes> read_known_nodes(env::FileSystem& fs, const std::string& state_dir) {
  const std::string path = state_dir + "/peers";
  auto exists = fs.exists(path);
  if (!exists) return exists.status();
  if (!*exists) return state_dir::KnownNodes{};
  auto bytes = fs.read_file(path);
  if (!bytes) return bytes.status();
  return state_dir::decode_known_nodes(*bytes);
}

NodeFiles::NodeFiles(NodeContext& context, state_dir::NodeIdentity& identity,
                     std::function<void(const Status&)> fatal)
    : context_(context),
      identity_(identity),
      addresses_path_(identity.state_dir() + "/peers"),
      fatal_(std::move(fatal)),
      facts_(identity.facts()),
      thread_(context.env.start_blocking_executor("node-files")) {
  load_addresses();
}

NodeFiles::~NodeFiles() { close(); }

void NodeFiles::close() { thread_->stop(); }

void NodeFiles::load_addresses() {
  auto addresses = read_known_nodes(context_.env.file_system(), identity_.state_dir());
  if (addresses) {
    addresses_ = std::move(*addresses);
  } else {
    // Others will find us, or the registry will tell.
    context_.log(raft::LogLevel::kWarn,
                 addresses_path_ + ": ignored: " + addresses.status().message());
  }
}

void NodeFiles::change(const std::function<void(state_dir::NodeFacts&)>& change, Task durable) {
  change(facts_);
  auto done = context_.guard_posted([this, durable = std::move(durable)](Status status) mutable {
    if (status) {
      durable();
    } else {
      fatal_(status);
    }
  });
  thread_->post(
      [this, facts = facts_, done = std::move(done)]() mutable { done(identity_.save(facts)); });
}

void NodeFiles::save_addresses(state_dir::KnownNodes addresses, Task tried) {
  if (addresses.nodes == addresses_.nodes) {
    if (tried) tried();
    return;
  }
  addresses_ = std::move(addresses);
  addresses_.boots = context_.host.transport().boots();
  write_addresses(std::move(tried));
}

void NodeFiles::save_boots() {
  std::vector<wire::BootRecord> boots = context_.host.transport().boots();
  if (boots == addresses_.boots) return;
  addresses_.boots = std::move(boots);
  write_addresses(nullptr);
}

void NodeFiles::write_addresses(Task tried) {
  auto done = context_.guard_posted([this, tried = std::move(tried)](const Status& status) mutable {
    if (!status) {
      context_.log(raft::LogLevel::kWarn, "addresses not saved: " + status.message());
    }
    if (tried) tried();
  });
  thread_->post(
      [&fs = context_.env.file_system(), path = addresses_path_,
       bytes = state_dir::encode_known_nodes(addresses_),
       done = std::move(done)]() mutable { done(fs.write_file_atomically(path, bytes)); });
}

}  // namespace multiraft::cluster
