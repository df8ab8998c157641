#include "meta/node_files.h"

#include <utility>

namespace multiraft::meta {

Result<AddressBook> read_addresses(env::FileSystem& fs, const std::string& state_dir) {
  const std::string path = state_dir + "/peers";
  auto exists = fs.exists(path);
  if (!exists) return exists.status();
  if (!*exists) return AddressBook{};
  auto bytes = fs.read_file(path);
  if (!bytes) return bytes.status();
  return decode_addresses(*bytes);
}

NodeFiles::NodeFiles(NodeContext& context, NodeIdentity& identity,
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
  auto addresses = read_addresses(context_.env.file_system(), identity_.state_dir());
  if (addresses) {
    addresses_ = std::move(*addresses);
  } else {
    // Others will find us, or the registry will tell.
    context_.log(raft::LogLevel::kWarn,
                 addresses_path_ + ": ignored: " + addresses.status().message());
  }
}

void NodeFiles::change(const std::function<void(NodeFacts&)>& change, Task durable) {
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

void NodeFiles::save_addresses(AddressBook addresses, Task tried) {
  if (addresses.nodes == addresses_.nodes) {
    if (tried) tried();
    return;
  }
  addresses_ = std::move(addresses);
  addresses_.lives = context_.host.transport().lives();
  write_addresses(std::move(tried));
}

void NodeFiles::save_lives() {
  std::vector<wire::Life> lives = context_.host.transport().lives();
  if (lives == addresses_.lives) return;
  addresses_.lives = std::move(lives);
  write_addresses(nullptr);
}

void NodeFiles::write_addresses(Task tried) {
  auto done = context_.guard_posted([this, tried = std::move(tried)](const Status& status) mutable {
    if (!status) {
      context_.log(raft::LogLevel::kWarn, "addresses not saved: " + status.message());
    }
    if (tried) tried();
  });
  thread_->post([&fs = context_.env.file_system(), path = addresses_path_,
                 bytes = encode_addresses(addresses_), done = std::move(done)]() mutable {
    done(fs.write_file_atomically(path, bytes));
  });
}

}  // namespace multiraft::meta
