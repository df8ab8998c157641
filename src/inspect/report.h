#pragma once
// What `multiraft-log` says, as JSON values, from which its text is made as well.

#include <boost/json/value.hpp>

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>

#include "env/file_system.h"
#include "inspect/log_walker.h"
#include "multiraft/status.h"
#include "multiraft/types.h"

namespace multiraft::inspect {

struct Report {
  boost::json::value value;
  uint64_t damages = 0;  ///< Places that are damaged.
};

enum class Depth : uint8_t {
  kSummary,  ///< inspect: what is there.
  kVerify,   ///< verify: every byte is checked, and only what is wrong is reported at length.
};

/// `path`: a state directory, a directory of segments, or one file of any format of docs/formats.
/// kInvalidArgument where it is none of these. Writes nothing.
Result<Report> report_on(env::FileSystem& files, const std::string& path, Depth depth);

struct DumpFilter {
  std::optional<GroupId> group;
  std::optional<uint64_t> segment;
  LogIndex from = {};
  LogIndex to = LogIndex(std::numeric_limits<uint64_t>::max());
};
/// Calls `line` for every record, in the order of each log. Returns the number of damaged places.
Result<uint64_t> dump(env::FileSystem& files, const std::string& path, const DumpFilter& filter,
                      const std::function<void(const boost::json::value&)>& line);

/// Indented `key: value` lines.
std::string to_text(const boost::json::value& value);
/// `key=value` on one line.
std::string to_line(const boost::json::value& value);

}  // namespace multiraft::inspect
