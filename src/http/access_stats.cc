#include "http/access_stats.h"

#include <algorithm>
#include <cstdio>

namespace multiraft::http {
namespace {

/// Those that are sent; anything else is counted in the last slot.
constexpr std::array<uint16_t, AccessStats::kStatusSlots - 1> kStatuses = {
    200, 204, 304, 307, 400, 403, 404, 405, 408, 409, 412, 413,
    414, 417, 421, 429, 431, 500, 503, 504, 507, 100, 501, 505};

size_t slot_of(uint16_t status) {
  return static_cast<size_t>(std::find(kStatuses.begin(), kStatuses.end(), status) -
                             kStatuses.begin());
}

size_t bucket_of(int64_t duration_ns) {
  const auto& ends = AccessStats::kBucketEndsUs;
  return static_cast<size_t>(
      std::lower_bound(ends.begin(), ends.end(), (duration_ns + 999) / 1000) - ends.begin());
}

template <class... Args>
void append(std::string& out, const char* format, Args... args) {
  char line[256];
  int n = 0;
  if constexpr (sizeof...(args) == 0) {
    n = std::snprintf(line, sizeof line, "%s", format);
  } else {
    n = std::snprintf(line, sizeof line, format, args...);
  }
  out.append(line, std::min(static_cast<size_t>(std::max(n, 0)), sizeof line - 1));
}

void header(std::string& out, const char* name, const char* type, const char* help) {
  append(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

unsigned long long number(uint64_t value) { return value; }

template <class Get>
uint64_t sum(std::span<const AccessStats* const> all, Get get) {
  uint64_t total = 0;
  for (const AccessStats* stats : all) total += get(*stats).value();
  return total;
}

}  // namespace

void AccessStats::record(size_t route, uint16_t status, int64_t duration_ns) {
  Route& r = routes_[route];
  r.by_status[slot_of(status)].add();
  r.by_duration[bucket_of(duration_ns)].add();
  r.duration_ns.add(static_cast<uint64_t>(std::max<int64_t>(duration_ns, 0)));
}

std::string AccessStats::render(std::span<const AccessStats* const> all) {
  std::string out;
  const uint64_t accepted = sum(
      all, [](auto& s) -> auto& { return s.connections_accepted; });
  const uint64_t closed = sum(
      all, [](auto& s) -> auto& { return s.connections_closed; });
  header(out, "multiraft_http_connections", "gauge", "Open connections of clients");
  append(out, "multiraft_http_connections %llu\n", number(accepted - std::min(accepted, closed)));
  const auto counter = [&](const char* name, const char* help, uint64_t value) {
    header(out, name, "counter", help);
    append(out, "%s %llu\n", name, number(value));
  };
  counter("multiraft_http_connections_total", "Connections accepted", accepted);
  counter("multiraft_http_connections_refused_total", "Connections over the limit",
          sum(
              all, [](auto& s) -> auto& { return s.connections_refused; }));
  counter("multiraft_http_timeouts_total", "Clients that were too slow",
          sum(
              all, [](auto& s) -> auto& { return s.timeouts; }));
  counter("multiraft_http_protocol_errors_total", "Requests that were malformed or too large",
          sum(
              all, [](auto& s) -> auto& { return s.protocol_errors; }));

  header(out, "multiraft_http_requests_total", "counter", "Requests answered");
  const std::span<const std::string_view> routes = all.front()->route_names_;
  for (size_t route = 0; route < routes.size(); ++route) {
    for (size_t slot = 0; slot < kStatusSlots; ++slot) {
      const uint64_t n = sum(
          all, [&](auto& s) -> auto& { return s.routes_[route].by_status[slot]; });
      if (n == 0) continue;
      append(out, "multiraft_http_requests_total{route=\"%s\",code=\"%u\"} %llu\n",
             routes[route].data(), slot < kStatuses.size() ? kStatuses[slot] : 0U, number(n));
    }
  }
  header(out, "multiraft_http_request_duration_seconds", "histogram",
         "From the complete request to its answer");
  for (size_t route = 0; route < routes.size(); ++route) render_route(all, route, out);
  return out;
}

void AccessStats::render_route(std::span<const AccessStats* const> all, size_t route,
                               std::string& out) {
  constexpr const char* kName = "multiraft_http_request_duration_seconds";
  const char* name = all.front()->route_names_[route].data();
  constexpr double kUsPerSecond = 1e6;
  constexpr double kNsPerSecond = 1e9;
  uint64_t below = 0;
  std::string lines;
  for (size_t i = 0; i <= kBucketEndsUs.size(); ++i) {
    below += sum(
        all, [&](auto& s) -> auto& { return s.routes_[route].by_duration[i]; });
    append(lines, "%s_bucket{route=\"%s\",le=\"", kName, name);
    if (i < kBucketEndsUs.size()) {
      append(lines, "%g\"} ", static_cast<double>(kBucketEndsUs[i]) / kUsPerSecond);
    } else {
      append(lines, "+Inf\"} ");
    }
    append(lines, "%llu\n", number(below));
  }
  if (below == 0) return;
  const uint64_t ns = sum(
      all, [&](auto& s) -> auto& { return s.routes_[route].duration_ns; });
  append(lines, "%s_sum{route=\"%s\"} %.9g\n", kName, name, static_cast<double>(ns) / kNsPerSecond);
  append(lines, "%s_count{route=\"%s\"} %llu\n", kName, name, number(below));
  out += lines;
}

}  // namespace multiraft::http
