#include "api/json_body.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>

#include "base/limits.h"

namespace multiraft::api {
namespace {

namespace json = boost::json;
using Error = boost::json::error_code;
using JsonView = boost::json::string_view;

constexpr size_t kQuotedBytesMax = 40;

/// What came from the client, fit for a message: printable ASCII, of limited length.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kQuotedBytesMax)) {
    out.push_back(c >= ' ' && c < 0x7f && c != '"' && c != '\\' ? c : '?');
  }
  return out + (text.size() > kQuotedBytesMax ? "...\"" : "\"");
}

/// Receives Boost.JSON's events for one flat object, without building a document. Derived classes
/// say which fields there are; what is inside unknown fields is skipped.
///
/// Field::kNone = not a field of ours.
template <class Fields>
class ObjectHandler {
 public:
  static constexpr size_t max_object_size = static_cast<size_t>(-1);
  static constexpr size_t max_array_size = static_cast<size_t>(-1);
  static constexpr size_t max_key_size = static_cast<size_t>(-1);
  static constexpr size_t max_string_size = static_cast<size_t>(-1);

  explicit ObjectHandler(Fields& fields) : fields_(fields) {}

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }

  bool on_object_begin(Error& error) {
    if (++depth_ == 1 || field_ == nullptr) return true;
    return wrong_type(error);
  }
  bool on_object_end(size_t, Error&) {
    --depth_;
    return true;
  }
  bool on_array_begin(Error& error) {
    if (depth_ == 0) return fail("the body is not a JSON object", error);
    ++depth_;
    if (field_ == nullptr) return true;
    return depth_ == 2 && fields_.begin_array(*field_) ? true : wrong_type(error);
  }
  bool on_array_end(size_t, Error&) {
    --depth_;
    return true;
  }

  bool on_key_part(JsonView text, size_t, Error&) {
    if (depth_ == 1 && key_.size() <= kQuotedBytesMax) key_.append(text.data(), text.size());
    return true;
  }
  bool on_key(JsonView text, size_t size, Error& error) {
    if (!on_key_part(text, size, error)) return false;
    if (depth_ != 1) return true;
    field_ = fields_.find(key_);
    std::string key;
    key.swap(key_);
    if (field_ == nullptr) {
      fields_.note_unknown(key);
      return true;
    }
    if (field_->seen) return fail("the field " + quoted(key) + " is there twice", error);
    field_->seen = true;
    return true;
  }

  bool on_string_part(JsonView text, size_t, Error& error) {
    if (depth_ == 0) return fail("the body is not a JSON object", error);
    if (field_ == nullptr) return true;
    if (depth_ != 1 || field_->text == nullptr) return wrong_type(error);
    field_->text->append(text.data(), text.size());
    return true;
  }
  bool on_string(JsonView text, size_t size, Error& error) {
    return on_string_part(text, size, error);
  }

  bool on_number_part(JsonView, Error&) { return true; }
  bool on_int64(int64_t number, JsonView, Error& error) {
    // The parser calls this for all that fit, negative or not.
    if (number < 0) return on_other(error);
    return on_uint64(static_cast<uint64_t>(number), {}, error);
  }
  bool on_uint64(uint64_t number, JsonView, Error& error) {
    if (depth_ == 0) return fail("the body is not a JSON object", error);
    if (field_ == nullptr) return true;
    return fields_.take_number(*field_, number, depth_ == 2) ? true : wrong_type(error);
  }
  bool on_double(double, JsonView, Error& error) { return on_other(error); }
  bool on_bool(bool, Error& error) { return on_other(error); }
  bool on_null(Error& error) { return on_other(error); }
  bool on_comment_part(JsonView, Error&) { return true; }
  bool on_comment(JsonView, Error&) { return true; }

  std::string message;

 private:
  bool on_other(Error& error) {
    if (depth_ == 0) return fail("the body is not a JSON object", error);
    return field_ == nullptr ? true : wrong_type(error);
  }
  bool wrong_type(Error& error) {
    return fail("the field " + quoted(field_->name) + " is not " + std::string(field_->type),
                error);
  }
  bool fail(std::string why, Error& error) {
    message = std::move(why);
    error = json::error::syntax;
    return false;
  }

  Fields& fields_;
  decltype(std::declval<Fields&>().find({})) field_ = nullptr;
  std::string key_;
  int depth_ = 0;
};

/// A field that an object may have.
struct Field {
  std::string_view name;
  std::string_view type;        ///< For messages: "a string".
  std::string* text = nullptr;  ///< Where a string goes.
  bool required = true;
  bool seen = false;
};

template <size_t N>
struct FieldList {
  Field fields[N];
  std::string near_miss;

  Field* find(std::string_view name) {
    for (Field& field : fields) {
      if (field.name == name) return &field;
    }
    return nullptr;
  }
  /// Remembers a name that differs from a field only by case.
  void note_unknown(std::string_view name) {
    const auto lower = [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    for (const Field& field : fields) {
      if (std::equal(name.begin(), name.end(), field.name.begin(), field.name.end(),
                     [&](char a, char b) { return lower(a) == lower(b); })) {
        near_miss = name;
      }
    }
  }
  std::string missing() const {
    for (const Field& field : fields) {
      if (!field.required || field.seen) continue;
      std::string why = "the field " + quoted(field.name) + " is missing";
      if (!near_miss.empty()) why += " (there is " + quoted(near_miss) + "; case matters)";
      return why;
    }
    return {};
  }
  bool begin_array(Field&) { return false; }
  bool take_number(Field&, uint64_t, bool) { return false; }
};

struct NewGroupFields : FieldList<3> {
  uint64_t group = 0;
  std::vector<NodeId>* nodes = nullptr;

  bool begin_array(Field& field) { return &field == &fields[1]; }
  bool take_number(Field& field, uint64_t number, bool in_array) {
    if (&field == &fields[0] && !in_array) {
      group = number;
      return true;
    }
    if (&field != &fields[1] || !in_array) return false;
    // One more than allowed is enough to be refused.
    if (nodes->size() <= limits::kGroupMembersMax) nodes->push_back(NodeId(number));
    return true;
  }
};

struct MemberFields : FieldList<2> {
  uint64_t node = 0;

  bool take_number(Field& field, uint64_t number, bool in_array) {
    if (&field != &fields[0] || in_array) return false;
    node = number;
    return true;
  }
};

template <class Fields>
std::string parse_object(std::string_view text, Fields& fields) {
  if (text.empty()) return "the body is empty; it has to be a JSON object";
  json::basic_parser<ObjectHandler<Fields>> parser(json::parse_options(), fields);
  Error error;
  const size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (!parser.handler().message.empty()) return std::move(parser.handler().message);
  if (error == json::error::too_deep) return "the body is nested too deeply";
  if (error) {
    return "the body is not valid JSON: " + error.message() + " near byte " + std::to_string(used);
  }
  const size_t rest = text.find_first_not_of(" \t\r\n", used);
  if (rest != std::string_view::npos) {
    return "there is something behind the JSON object, at byte " + std::to_string(rest);
  }
  return fields.missing();
}

}  // namespace

std::string parse_put_body(std::string_view text, PutBody& out) {
  out.key.clear();
  out.value.clear();
  FieldList<2> fields{{{"Key", "a string", &out.key}, {"Value", "a string", &out.value}}, {}};
  return parse_object(text, fields);
}

std::string parse_new_group_body(std::string_view text, NewGroupBody& out) {
  std::string join_address;
  out.nodes.clear();
  NewGroupFields fields;
  fields.fields[0] = {"GroupID", "a whole number of at least 1"};
  fields.fields[1] = {"IDs", "a list of node ids"};
  fields.fields[2] = {"JoinAddr", "a string", &join_address, false};
  fields.nodes = &out.nodes;
  std::string wrong = parse_object(text, fields);
  if (!wrong.empty()) return wrong;
  out.group = GroupId(fields.group);
  if (fields.group == 0) return "the field \"GroupID\" is 0, which is the cluster's own registry";
  if (out.nodes.empty()) return "the field \"IDs\" is empty; a group needs a node";
  if (out.nodes.size() > limits::kGroupMembersMax) {
    return "the field \"IDs\" has more than " + std::to_string(limits::kGroupMembersMax) + " nodes";
  }
  std::sort(out.nodes.begin(), out.nodes.end());
  if (out.nodes.front().value == 0 || out.nodes.back().value > limits::kNodeIdMax) {
    return "the field \"IDs\" has an id that is not from 1 to " +
           std::to_string(limits::kNodeIdMax);
  }
  if (std::adjacent_find(out.nodes.begin(), out.nodes.end()) != out.nodes.end()) {
    return "the field \"IDs\" has a node twice";
  }
  return {};
}

std::string parse_member_body(std::string_view text, MemberBody& out) {
  std::string type;
  MemberFields fields;
  fields.fields[0] = {"id", "a node id"};
  fields.fields[1] = {"type", "\"voter\" or \"learner\"", &type, false};
  std::string wrong = parse_object(text, fields);
  if (!wrong.empty()) return wrong;
  if (fields.node == 0 || fields.node > limits::kNodeIdMax) {
    return "the field \"id\" is not from 1 to " + std::to_string(limits::kNodeIdMax);
  }
  if (fields.fields[1].seen && type != "voter" && type != "learner") {
    return "the field \"type\" is neither \"voter\" nor \"learner\"";
  }
  out.node = NodeId(fields.node);
  out.voter = type != "learner";
  return {};
}

}  // namespace multiraft::api
