#include "env/posix/errno_text.h"

#include <cerrno>
#include <system_error>

namespace multiraft::env {

std::string errno_text(int error) { return std::generic_category().message(error); }

StatusCode errno_code(int error) {
  switch (error) {
    case ENOENT:
      return StatusCode::kNotFound;
    case EEXIST:
      return StatusCode::kAlreadyExists;
    case ENOSPC:
    case EDQUOT:
      return StatusCode::kNoSpace;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case EAGAIN:
    case EINTR:
      return StatusCode::kOverloaded;
    default:
      return StatusCode::kIoError;
  }
}

}  // namespace multiraft::env
