#pragma once
// The JSON bodies that clients send. Only json_body.cc includes Boost.JSON's parser.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "multiraft/types.h"

namespace multiraft::api {

/// {"Key":"k","Value":"v"}
struct PutBody {
  std::string key;
  std::string value;
};

/// {"GroupID":2,"IDs":[1,2],"JoinAddr":":8080"}. JoinAddr is checked to be a string and dropped:
/// nodes know each other.
struct NewGroupBody {
  GroupId group;
  std::vector<NodeId> nodes;  ///< Ascending.
};

/// {"id":4,"type":"voter"}
struct MemberBody {
  NodeId node;
  bool voter = true;  ///< Where there is no type.
};

/// All return what is wrong, naming the field, or an empty string. The text must be one object of
/// valid UTF-8 JSON (no lone surrogates, nothing behind it, 32 levels deep at most). A field twice
/// and a wrong type are errors. Unknown fields are ignored: every field that does something is
/// required, so that a mistyped name is found by its absence. `out` is reused memory; its content
/// after an error means nothing.
std::string parse_put_body(std::string_view text, PutBody& out);
std::string parse_new_group_body(std::string_view text, NewGroupBody& out);
std::string parse_member_body(std::string_view text, MemberBody& out);

}  // namespace multiraft::api
