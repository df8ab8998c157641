#include "env/sim/sim_disk.h"

#include <algorithm>
#include <string_view>

#include "base/assert.h"

namespace multiraft::env {
namespace {

std::vector<std::string> split(const std::string& path) {
  std::vector<std::string> names;
  std::string_view rest = path;
  while (!rest.empty()) {
    const size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view name = rest.substr(0, slash);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    if (name.empty() || name == ".") continue;
    if (name != "..") {
      names.emplace_back(name);
    } else if (!names.empty()) {
      names.pop_back();
    }
  }
  return names;
}

uint64_t granularity_of(CrashMode mode) {
  switch (mode) {
    case CrashMode::kTornByte:
      return 1;
    case CrashMode::kTornSector:
      return kSimSectorBytes;
    case CrashMode::kTornPage:
      return kSimPageBytes;
    case CrashMode::kKeepAll:
    case CrashMode::kKeepNone:
    case CrashMode::kRandomSubset:
      return 0;
  }
  MR_UNREACHABLE("crash mode");
}

uint64_t bytes_under(const SimNode& node) {
  if (!node.is_directory) return node.content.current().size;
  uint64_t sum = 0;
  for (const auto& [name, child] : node.names) sum += bytes_under(*child);
  return sum;
}

}  // namespace

std::string sim_normal_path(const std::string& path) {
  std::string normal;
  for (const std::string& name : split(path)) normal += (normal.empty() ? "" : "/") + name;
  return normal;
}

SimFileSystem::Disk::Attempt SimFileSystem::Disk::begin(Kind kind, const std::string& what) {
  if (crashed || operations >= crash_after) {
    crashed = true;
    return {Status(StatusCode::kIoError, what + ": simulated crash"), 0, std::nullopt};
  }
  Attempt attempt;
  attempt.number = ++operations;
  if (const auto it = faults.find(attempt.number); it != faults.end()) {
    attempt.fault = it->second;
    faults.erase(it);
  }
  if (kind == Kind::kSync && failing_syncs.erase(++syncs) > 0) attempt.fault = SimFault::kIoError;
  if (attempt.fault) {
    const bool full = attempt.fault == SimFault::kNoSpace && kind == Kind::kChange;
    attempt.status = full ? Status(StatusCode::kNoSpace, what + ": No space left on device")
                          : Status(StatusCode::kIoError, what + ": Input/output error");
  }
  return attempt;
}

Status SimFileSystem::Disk::begin_read(const std::string& what) {
  if (crashed) return {StatusCode::kIoError, what + ": simulated crash"};
  if (failing_reads.erase(++reads) > 0) {
    return {StatusCode::kIoError, what + ": Input/output error"};
  }
  return Status::ok();
}

SimNodeRef SimFileSystem::Disk::find(const std::string& path) const {
  SimNodeRef node = root_;
  for (const std::string& name : split(path)) {
    if (!node->is_directory) return nullptr;
    const auto it = node->names.find(name);
    if (it == node->names.end()) return nullptr;
    node = it->second;
  }
  return node;
}

SimFileSystem::Disk::Place SimFileSystem::Disk::locate(const std::string& path) const {
  const std::string normal = sim_normal_path(path);
  const size_t slash = normal.rfind('/');
  const bool at_root = slash == std::string::npos;
  SimNodeRef directory = at_root ? root_ : find(normal.substr(0, slash));
  if (directory && !directory->is_directory) directory = nullptr;
  return {std::move(directory), at_root ? normal : normal.substr(slash + 1)};
}

void SimFileSystem::Disk::bind(SimNames& names, const Binding& binding) {
  if (binding.node) {
    names[binding.name] = binding.node;
  } else {
    names.erase(binding.name);
  }
}

void SimFileSystem::Disk::change_names(uint64_t operation, std::vector<Binding> bindings) {
  for (const Binding& binding : bindings) bind(binding.directory->names, binding);
  unsynced_names_.push_back({operation, std::move(bindings)});
}

void SimFileSystem::Disk::link(uint64_t operation, const Place& place, SimNodeRef node) {
  change_names(operation, {{place.directory, place.name, std::move(node)}});
}

void SimFileSystem::Disk::unlink(uint64_t operation, const Place& place) {
  change_names(operation, {{place.directory, place.name, nullptr}});
}

void SimFileSystem::Disk::rename(uint64_t operation, const Place& from, const Place& to) {
  SimNodeRef node = from.directory->names.at(from.name);
  change_names(operation,
               {{from.directory, from.name, nullptr}, {to.directory, to.name, std::move(node)}});
}

void SimFileSystem::Disk::sync_names(const SimNodeRef& directory) {
  std::vector<NameChange> rest;
  for (NameChange& change : unsynced_names_) {
    const bool here = std::any_of(change.bindings.begin(), change.bindings.end(),
                                  [&](const Binding& b) { return b.directory == directory; });
    if (!here) {
      rest.push_back(std::move(change));
      continue;
    }
    for (const Binding& binding : change.bindings) {
      bind(binding.directory->durable, binding);
      // A rename carries its other directory along; what happened to that name before is history.
      for (NameChange& older : rest) {
        std::erase_if(older.bindings, [&](const Binding& b) {
          return b.directory == binding.directory && b.name == binding.name;
        });
      }
    }
  }
  unsynced_names_ = std::move(rest);
}

Status SimFileSystem::Disk::remove_tree(const Place& place, const std::string& path) {
  const SimNodeRef node = place.directory->names.at(place.name);
  if (node->is_directory) {
    while (!node->names.empty()) {
      const std::string name = node->names.begin()->first;
      MR_RETURN_IF_ERROR(remove_tree({node, name}, path + "/" + name));
    }
  }
  const Attempt attempt = begin(Kind::kChange, "remove " + path);
  MR_RETURN_IF_ERROR(attempt.status);
  unlink(attempt.number, place);
  return Status::ok();
}

uint64_t SimFileSystem::Disk::used_bytes() const { return bytes_under(*root_); }

uint64_t SimFileSystem::Disk::grant(uint64_t growth) const {
  if (!space_limit || growth == 0) return growth;
  const uint64_t used = used_bytes();
  return std::min(growth, *space_limit > used ? *space_limit - used : 0);
}

void SimFileSystem::Disk::collect_operations(const SimNode& node,
                                             std::vector<uint64_t>& operations) {
  node.content.append_unsynced_operations(operations);
  for (const auto& [name, child] : node.names) collect_operations(*child, operations);
}

SimTear SimFileSystem::Disk::pick_tear(CrashMode mode, Prng& random) const {
  const uint64_t granularity = granularity_of(mode);
  if (granularity == 0) return {};
  std::vector<uint64_t> pending;
  for (const NameChange& change : unsynced_names_) pending.push_back(change.operation);
  collect_operations(*root_, pending);
  if (pending.empty()) return {operations + 1, granularity};
  std::sort(pending.begin(), pending.end());
  return {pending[random.below(pending.size())], granularity};
}

SimFileSystem::Disk::Images SimFileSystem::Disk::name_images(CrashMode mode, const SimTear& tear,
                                                             Prng& random) const {
  Images images;
  for (const NameChange& change : unsynced_names_) {
    const bool kept = mode == CrashMode::kKeepAll ||
                      (mode == CrashMode::kRandomSubset && random.chance(0.5)) ||
                      (tear.granularity != 0 && change.operation < tear.operation);
    if (!kept) continue;
    for (const Binding& binding : change.bindings) {
      const SimNode* directory = binding.directory.get();
      bind(images.try_emplace(directory, directory->durable).first->second, binding);
    }
  }
  return images;
}

SimNodeRef SimFileSystem::Disk::image_of(const SimNode& node, const Images& images, CrashMode mode,
                                         const SimTear& tear, Prng& random) {
  auto copy = std::make_shared<SimNode>();
  copy->is_directory = node.is_directory;
  if (node.is_directory) {
    const auto it = images.find(&node);
    for (const auto& [name, child] : it == images.end() ? node.durable : it->second) {
      copy->names[name] = image_of(*child, images, mode, tear, random);
    }
    copy->durable = copy->names;
    return copy;
  }
  switch (mode) {
    case CrashMode::kKeepAll:
      copy->content = SimContent(node.content.keep_all());
      break;
    case CrashMode::kKeepNone:
      copy->content = SimContent(node.content.keep_none());
      break;
    case CrashMode::kRandomSubset:
      copy->content = SimContent(node.content.keep_random_sectors(random));
      break;
    case CrashMode::kTornByte:
    case CrashMode::kTornSector:
    case CrashMode::kTornPage:
      copy->content = SimContent(node.content.keep_torn(tear, random));
      break;
  }
  return copy;
}

std::shared_ptr<SimFileSystem::Disk> SimFileSystem::Disk::crash_image(CrashMode mode,
                                                                      uint64_t seed) const {
  Prng random(seed);
  const SimTear tear = pick_tear(mode, random);
  const Images images = name_images(mode, tear, random);
  auto image = std::make_shared<Disk>();
  *image->root_ = std::move(*image_of(*root_, images, mode, tear, random));
  image->space_limit = space_limit;
  return image;
}

}  // namespace multiraft::env
