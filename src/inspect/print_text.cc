#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "inspect/report.h"

namespace multiraft::inspect {
namespace {

using boost::json::value;

std::string scalar(const value& v) {
  if (v.is_string()) return std::string(v.as_string());
  return boost::json::serialize(v);
}

bool is_nested(const value& v) {
  return (v.is_object() && !v.as_object().empty()) || (v.is_array() && !v.as_array().empty());
}

/// Small enough for one line: no array of objects in it.
bool is_flat(const value& v) {
  if (v.is_array()) {
    for (const value& item : v.as_array()) {
      if (item.is_structured()) return false;
    }
    return true;
  }
  if (!v.is_object()) return true;
  for (const auto& item : v.as_object()) {
    if (!is_flat(item.value())) return false;
  }
  return true;
}

void write(const value& v, size_t indent, std::string& out);

void write_member(std::string_view key, const value& v, size_t indent, std::string& out) {
  out.append(indent, ' ');
  out += key;
  out += ':';
  if (is_nested(v) && !is_flat(v)) {
    out += '\n';
    write(v, indent + 2, out);
  } else {
    out += ' ';
    out += to_line(v);
    out += '\n';
  }
}

void write(const value& v, size_t indent, std::string& out) {
  if (v.is_object()) {
    for (const auto& item : v.as_object()) {
      write_member({item.key().data(), item.key().size()}, item.value(), indent, out);
    }
  } else if (v.is_array()) {
    for (const value& item : v.as_array()) {
      if (is_flat(item)) {
        out.append(indent, ' ');
        out += "- " + to_line(item) + "\n";
      } else {
        out.append(indent, ' ');
        out += "-\n";
        write(item, indent + 2, out);
      }
    }
  }
}

}  // namespace

std::string to_line(const value& v) {
  std::string out;
  if (v.is_array()) {
    for (const value& item : v.as_array()) {
      if (!out.empty()) out += ", ";
      out += item.is_structured() ? "{" + to_line(item) + "}" : scalar(item);
    }
    return out.empty() ? "none" : out;
  }
  if (!v.is_object()) return scalar(v);
  for (const auto& item : v.as_object()) {
    if (!out.empty()) out += ' ';
    out.append(item.key().data(), item.key().size());
    out += '=';
    const bool nested = item.value().is_structured();
    out += nested ? "(" + to_line(item.value()) + ")" : scalar(item.value());
  }
  return out;
}

std::string to_text(const value& v) {
  std::string out;
  write(v, 0, out);
  return out;
}

}  // namespace multiraft::inspect
