#include "linearizability/history.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <map>
#include <utility>

namespace multiraft::linearizability {
namespace {

namespace json = boost::json;

Status bad_line(size_t line, std::string_view what) {
  return {StatusCode::kInvalidArgument, "line " + std::to_string(line) + ": " + std::string(what)};
}

std::string quoted(const Value& value) { return value ? "\"" + *value + "\"" : "absent"; }

std::string_view kind_name(const Operation& op) {
  switch (op.kind) {
    case OpKind::kRead:
      return "get";
    case OpKind::kWrite:
      return op.value ? "put" : "delete";
    case OpKind::kCas:
      return "cas";
    case OpKind::kAppend:
      return "append";
  }
  return "?";
}

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "ok";
    case Outcome::kFail:
      return "fail";
    case Outcome::kUnknown:
      return "unknown";
  }
  return "?";
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

/// The next word, cut off the front of `text`.
std::string_view take_word(std::string_view& text) {
  text = trimmed(text);
  const size_t end = std::min(text.find_first_of(" \t"), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  text = trimmed(text);
  return word;
}

bool parse_number(std::string_view text, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

/// Pairs the invocations of event logs with their completions. A process does one thing at a time.
class Pairing {
 public:
  Status invoke(size_t line, Operation op) {
    op.call_ns = static_cast<int64_t>(line);
    op.outcome = Outcome::kUnknown;
    const uint64_t process = op.process;
    history.operations.push_back(std::move(op));
    if (!open_.try_emplace(process, history.operations.size() - 1).second) {
      return bad_line(line, "the process already has an open operation");
    }
    return Status::ok();
  }
  /// The open operation of `process`, now closed; null if it has none.
  Operation* complete(size_t line, uint64_t process) {
    const auto it = open_.find(process);
    if (it == open_.end()) return nullptr;
    Operation& op = history.operations[it->second];
    op.return_ns = static_cast<int64_t>(line);
    open_.erase(it);
    return &op;
  }

  History history;

 private:
  std::map<uint64_t, size_t> open_;
};

template <class ParseLine>
Status for_each_line(std::string_view text, ParseLine parse_line) {
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.empty()) continue;
    MR_RETURN_IF_ERROR(parse_line(number, line));
  }
  return Status::ok();
}

// --- Jepsen register logs ---------------------------------------------------------------------

Value jepsen_value(std::string_view text) {
  return text == "nil" ? Value() : Value(std::string(text));
}

Status parse_jepsen_invocation(size_t line, std::string_view kind, std::string_view argument,
                               Operation& op) {
  if (kind == ":read") {
    op.kind = OpKind::kRead;
  } else if (kind == ":write") {
    op.kind = OpKind::kWrite;
    op.value = jepsen_value(argument);
  } else if (kind == ":cas" && argument.starts_with('[') && argument.ends_with(']')) {
    op.kind = OpKind::kCas;
    std::string_view pair = argument.substr(1, argument.size() - 2);
    op.expected = jepsen_value(take_word(pair));
    op.value = jepsen_value(pair);
  } else {
    return bad_line(line, "expected `:read nil`, `:write V` or `:cas [A B]`");
  }
  return Status::ok();
}

Status parse_jepsen_line(size_t line, std::string_view text, Pairing& pairing) {
  // Other lines of the log (nemesis, phases) are not operations.
  constexpr std::string_view kMark = "jepsen.util - ";
  const size_t mark = text.find(kMark);
  if (mark == std::string_view::npos) return Status::ok();
  text.remove_prefix(mark + kMark.size());
  uint64_t process = 0;
  if (!parse_number(take_word(text), process)) return Status::ok();
  const std::string_view type = take_word(text);
  const std::string_view kind = take_word(text);
  const std::string_view argument = text;

  if (type == ":invoke") {
    Operation op;
    op.process = process;
    MR_RETURN_IF_ERROR(parse_jepsen_invocation(line, kind, argument, op));
    return pairing.invoke(line, std::move(op));
  }
  Operation* op = pairing.complete(line, process);
  if (op == nullptr) return bad_line(line, "completion without an invocation");
  if (type == ":ok") {
    op->outcome = Outcome::kOk;
    if (op->kind == OpKind::kRead) op->value = jepsen_value(argument);
  } else if (type == ":fail") {
    // A compare-and-set that failed has run and found another content: that is an observation. Any
    // other failure says that nothing happened.
    const bool found_another = op->kind == OpKind::kCas && argument != ":timed-out";
    op->outcome = found_another ? Outcome::kOk : Outcome::kFail;
    op->swapped = false;
  } else if (type != ":info") {
    return bad_line(line, "expected :invoke, :ok, :fail or :info");
  }
  return Status::ok();
}

// --- EDN string store -------------------------------------------------------------------------

/// One `{:process 0, :type :ok, :f :get, :key "1", :value "x"}`, flat.
class EdnMap {
 public:
  static Result<EdnMap> parse(size_t line, std::string_view text) {
    EdnMap map;
    if (!text.starts_with('{') || !text.ends_with('}')) return bad_line(line, "expected {...}");
    text = text.substr(1, text.size() - 2);
    while (!(text = trimmed(text)).empty()) {
      const std::string_view name = take_word(text);
      Value value;
      if (text.starts_with('"')) {
        if (!take_string(text, value)) return bad_line(line, "a string does not end");
      } else {
        const size_t end = std::min(text.find(','), text.size());
        const std::string_view word = trimmed(text.substr(0, end));
        if (word != "nil") value = std::string(word);
        text.remove_prefix(end);
      }
      if (text.starts_with(',')) text.remove_prefix(1);
      map.fields_.insert_or_assign(std::string(name), std::move(value));
    }
    return map;
  }
  Value operator[](std::string_view name) const {
    const auto it = fields_.find(name);
    return it == fields_.end() ? Value() : it->second;
  }

 private:
  static bool take_string(std::string_view& text, Value& value) {
    std::string content;
    for (size_t i = 1; i < text.size(); ++i) {
      if (text[i] == '"') {
        text.remove_prefix(i + 1);
        value = std::move(content);
        return true;
      }
      if (text[i] == '\\' && ++i == text.size()) break;
      content += text[i];
    }
    return false;
  }

  std::map<std::string, Value, std::less<>> fields_;
};

Status parse_edn_line(size_t line, std::string_view text, Pairing& pairing) {
  Result<EdnMap> map = EdnMap::parse(line, text);
  if (!map) return map.status();
  Operation op;
  const std::string type = (*map)[":type"].value_or("");
  const std::string function = (*map)[":f"].value_or("");
  if (!parse_number((*map)[":process"].value_or(""), op.process)) {
    return bad_line(line, "expected :process NUMBER");
  }
  op.key = (*map)[":key"].value_or("");
  if (type == ":invoke") {
    if (function == ":get") {
      op.kind = OpKind::kRead;
    } else if (function == ":put" || function == ":append") {
      op.kind = function == ":put" ? OpKind::kWrite : OpKind::kAppend;
      op.value = (*map)[":value"];
    } else {
      return bad_line(line, "expected :f :get, :put or :append");
    }
    return pairing.invoke(line, std::move(op));
  }
  Operation* invoked = pairing.complete(line, op.process);
  if (invoked == nullptr) return bad_line(line, "completion without an invocation");
  if (type == ":ok") {
    invoked->outcome = Outcome::kOk;
    if (invoked->kind == OpKind::kRead) invoked->value = (*map)[":value"];
  } else if (type == ":fail") {
    invoked->outcome = Outcome::kFail;
  } else if (type != ":info") {
    return bad_line(line, "expected :type :invoke, :ok, :fail or :info");
  }
  return Status::ok();
}

// --- Our own JSON lines -----------------------------------------------------------------------

class JsonLine {
 public:
  JsonLine(size_t line, const json::object& object) : line_(line), object_(object) {}

  Status parse(Operation& op) const {
    std::string name;
    std::string outcome;
    MR_RETURN_IF_ERROR(string("op", name));
    MR_RETURN_IF_ERROR(string("key", op.key));
    MR_RETURN_IF_ERROR(string("outcome", outcome));
    int64_t process = 0;
    MR_RETURN_IF_ERROR(number("process", process));
    MR_RETURN_IF_ERROR(number("call", op.call_ns));
    op.process = static_cast<uint64_t>(process);
    MR_RETURN_IF_ERROR(parse_outcome(outcome, op));
    return parse_kind(name, op);
  }

 private:
  Status parse_outcome(std::string_view outcome, Operation& op) const {
    if (outcome == "unknown") {
      op.outcome = Outcome::kUnknown;
      return Status::ok();
    }
    if (outcome != "ok" && outcome != "fail") {
      return bad_line(line_, "\"outcome\" must be \"ok\", \"fail\" or \"unknown\"");
    }
    op.outcome = outcome == "ok" ? Outcome::kOk : Outcome::kFail;
    MR_RETURN_IF_ERROR(number("return", op.return_ns));
    if (op.return_ns < op.call_ns) return bad_line(line_, "returns before its call");
    return Status::ok();
  }

  Status parse_kind(std::string_view name, Operation& op) const {
    const json::value* swapped = object_.if_contains("swapped");
    if (name == "get") {
      op.kind = OpKind::kRead;
      return op.outcome == Outcome::kOk ? value("value", op.value) : Status::ok();
    }
    if (name == "delete") {
      op.kind = OpKind::kWrite;
      return Status::ok();
    }
    if (name == "cas") {
      op.kind = OpKind::kCas;
      if (swapped != nullptr && !swapped->is_bool()) return bad_line(line_, "\"swapped\": boolean");
      op.swapped = swapped == nullptr || swapped->get_bool();
      MR_RETURN_IF_ERROR(value("expected", op.expected));
      return value("value", op.value);
    }
    if (name != "put" && name != "append") {
      return bad_line(line_, "\"op\" must be \"get\", \"put\", \"delete\", \"cas\" or \"append\"");
    }
    op.kind = name == "put" ? OpKind::kWrite : OpKind::kAppend;
    MR_RETURN_IF_ERROR(value("value", op.value));
    return op.value ? Status::ok() : bad_line(line_, "\"value\" must be a string");
  }

  Status string(std::string_view name, std::string& out) const {
    const json::value* field = object_.if_contains(name);
    if (field == nullptr || !field->is_string()) return missing(name, "a string");
    out = std::string(field->get_string());
    return Status::ok();
  }
  Status number(std::string_view name, int64_t& out) const {
    const json::value* field = object_.if_contains(name);
    if (field == nullptr || !field->is_int64()) return missing(name, "a whole number");
    out = field->get_int64();
    return Status::ok();
  }
  Status value(std::string_view name, Value& out) const {
    const json::value* field = object_.if_contains(name);
    if (field == nullptr || !(field->is_string() || field->is_null())) {
      return missing(name, "a string or null");
    }
    if (field->is_string()) out = std::string(field->get_string());
    return Status::ok();
  }
  Status missing(std::string_view name, std::string_view what) const {
    return bad_line(line_, "\"" + std::string(name) + "\" must be " + std::string(what));
  }

  const size_t line_;
  const json::object& object_;
};

Status parse_json_line(size_t line, std::string_view text, History& history) {
  boost::system::error_code error;
  const json::value parsed = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !parsed.is_object()) return bad_line(line, "not a JSON object");
  Operation op;
  MR_RETURN_IF_ERROR(JsonLine(line, parsed.get_object()).parse(op));
  history.operations.push_back(std::move(op));
  return Status::ok();
}

}  // namespace

std::string Operation::to_string() const {
  std::string text = "process " + std::to_string(process) + ": " + std::string(kind_name(*this)) +
                     " \"" + key + "\"";
  if (kind == OpKind::kCas) text += " from " + quoted(expected);
  if (kind != OpKind::kWrite || value) text += " = " + quoted(value);
  if (kind == OpKind::kCas && !swapped) text += " (another content was found)";
  text += " [" + std::to_string(call_ns) + ", " +
          (outcome == Outcome::kUnknown ? std::string("?") : std::to_string(return_ns)) + "] ";
  return text + std::string(outcome_name(outcome));
}

Result<History> parse_history(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return History{};
  const std::string_view start = text.substr(begin);
  Pairing pairing;
  Status status;
  if (start.starts_with("{:")) {
    pairing.history.initial = "";  // This store has no missing keys: they read as empty.
    status = for_each_line(text, [&](size_t number, std::string_view line) {
      return parse_edn_line(number, line, pairing);
    });
  } else if (start.starts_with('{')) {
    status = for_each_line(text, [&](size_t number, std::string_view line) {
      return parse_json_line(number, line, pairing.history);
    });
  } else {
    status = for_each_line(text, [&](size_t number, std::string_view line) {
      return parse_jepsen_line(number, line, pairing);
    });
    if (status && pairing.history.operations.empty()) {
      return Status(StatusCode::kInvalidArgument, "no operations in any known format");
    }
  }
  if (!status) return status;
  return std::move(pairing.history);
}

std::string to_json_line(const Operation& operation) {
  const auto value = [](const Value& v) { return v ? json::value(*v) : json::value(nullptr); };
  json::object object;
  object["process"] = operation.process;
  const std::string_view name = kind_name(operation);
  object["op"] = json::string(name.data(), name.size());
  object["key"] = operation.key;
  if (operation.kind == OpKind::kCas) object["expected"] = value(operation.expected);
  if (operation.kind != OpKind::kWrite || operation.value) object["value"] = value(operation.value);
  if (operation.kind == OpKind::kCas) object["swapped"] = operation.swapped;
  object["call"] = operation.call_ns;
  if (operation.outcome != Outcome::kUnknown) object["return"] = operation.return_ns;
  const std::string_view outcome = outcome_name(operation.outcome);
  object["outcome"] = json::string(outcome.data(), outcome.size());
  return json::serialize(object);
}

}  // namespace multiraft::linearizability
