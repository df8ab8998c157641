#include "inspect/read_only_files.h"

namespace multiraft::inspect {
namespace {

Status refuse(const std::string& path) {
  return {StatusCode::kConflict, path + ": opened for reading only"};
}

}  // namespace

Result<std::unique_ptr<env::File>> ReadOnlyFiles::open(const std::string& path, env::OpenMode,
                                                       bool) {
  return below_.open(path, env::OpenMode::kRead);
}
Status ReadOnlyFiles::create_directories(const std::string& path) { return refuse(path); }
Result<std::vector<std::string>> ReadOnlyFiles::list(const std::string& path) {
  return below_.list(path);
}
Result<bool> ReadOnlyFiles::exists(const std::string& path) { return below_.exists(path); }
Status ReadOnlyFiles::rename(const std::string& from, const std::string&) { return refuse(from); }
Status ReadOnlyFiles::remove(const std::string& path) { return refuse(path); }
Status ReadOnlyFiles::remove_all(const std::string& path) { return refuse(path); }
Status ReadOnlyFiles::sync_directory(const std::string& path) { return refuse(path); }
Result<std::unique_ptr<env::FileLock>> ReadOnlyFiles::lock(const std::string& path) {
  return refuse(path);
}
Result<env::SpaceInfo> ReadOnlyFiles::space(const std::string& path) { return below_.space(path); }

}  // namespace multiraft::inspect
