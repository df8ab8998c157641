#include "env/file_system.h"

namespace multiraft::env {
namespace {

std::string parent_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<std::string> FileSystem::read_file(const std::string& path) {
  Result<std::unique_ptr<File>> file = open(path, OpenMode::kRead);
  if (!file) return file.status();
  Result<uint64_t> size = (*file)->size();
  if (!size) return size.status();
  // One byte more than its size shows whether it grew meanwhile; some files (/proc) have size 0.
  std::string content;
  size_t filled = 0;
  for (size_t capacity = *size + 1;; capacity *= 2) {
    content.resize(capacity < 512 ? 512 : capacity);
    Result<size_t> n =
        (*file)->read_at(filled, std::span(content.data() + filled, content.size() - filled));
    if (!n) return n.status();
    filled += *n;
    if (filled < content.size()) break;
  }
  content.resize(filled);
  return content;
}

Status FileSystem::write_file_atomically(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp";
  Status status = [&]() -> Status {
    Result<std::unique_ptr<File>> file = open(temporary, OpenMode::kCreate);
    if (!file) return file.status();
    // A crash may have left a longer one.
    MR_RETURN_IF_ERROR((*file)->truncate(0));
    MR_RETURN_IF_ERROR((*file)->write_at(0, std::span(&content, 1)));
    MR_RETURN_IF_ERROR((*file)->sync_all());
    return rename(temporary, path);
  }();
  if (!status.is_ok()) {
    // Only tidiness: the next attempt overwrites it, and the first error is the one to report.
    [[maybe_unused]] const Status ignored = remove(temporary);
    return status;
  }
  return sync_directory(parent_of(path));
}

}  // namespace multiraft::env
