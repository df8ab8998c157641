#include "http/worker.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>

#include "base/assert.h"

namespace multiraft::http {
namespace {

/// Timeouts are kept to a quarter of the shortest of them.
int64_t sweep_interval(const Limits& limits) {
  const int64_t shortest =
      std::min({limits.head_timeout_ns, limits.probe_head_timeout_ns, limits.idle_timeout_ns,
                limits.body_window_ns, limits.write_grace_ns, limits.linger_ns});
  return std::clamp(shortest / 4, 5 * env::kMillisecond, env::kSecond);
}

/// RFC 9110 5.6.7.
std::string format_date(int64_t unix_second) {
  namespace chrono = std::chrono;
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const chrono::sys_seconds moment{chrono::seconds(unix_second)};
  const auto midnight = chrono::floor<chrono::days>(moment);
  const chrono::year_month_day date(midnight);
  const chrono::hh_mm_ss clock(moment - midnight);
  char line[64];
  const int n = std::snprintf(
      line, sizeof line, "Date: %s, %02u %s %04d %02d:%02d:%02d GMT\r\n",
      kDays[chrono::weekday(midnight).c_encoding()], static_cast<unsigned>(date.day()),
      kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()));
  return {line, static_cast<size_t>(n)};
}

}  // namespace

Worker::Worker(Config config, env::Executor& executor, env::Clock& clock, Handler& handler,
               AccessStats& stats)
    : config_(std::move(config)),
      executor_(executor),
      clock_(clock),
      handler_(handler),
      stats_(stats),
      budget_(config_.budget
                  ? config_.budget
                  : std::make_shared<MemoryBudget>(config_.limits.held_bytes_per_worker_max)),
      now_(clock.now()) {}

Worker::~Worker() { MR_ASSERT(connections_.empty() && closing_.empty()); }

void Worker::adopt(std::unique_ptr<env::Stream> stream, ConnectionSlot slot, bool probes_only) {
  MR_ASSERT(!stopping_);
  connections_.push_back(
      std::make_unique<Connection>(*this, std::move(stream), std::move(slot), probes_only));
  Connection& connection = *connections_.back();
  connection.place = connections_.size() - 1;
  if (sweep_timer_ == 0) arm_sweep();
  connection.start();
}

void Worker::stop(int64_t grace_ns, Task stopped) {
  MR_ASSERT(!stopping_);
  stopping_ = true;
  stopped_ = std::move(stopped);
  for (size_t i = connections_.size(); i-- > 0;) connections_[i]->stop();
  if (!connections_.empty()) {
    grace_timer_ = executor_.run_at(now() + grace_ns, [this] {
      grace_timer_ = 0;
      while (!connections_.empty()) connections_.back()->abort();
    });
  }
  report_if_stopped();
}

void Worker::arm_sweep() {
  sweep_timer_ = executor_.run_at(now() + sweep_interval(config_.limits), [this] { sweep(); });
}

void Worker::sweep() {
  sweep_timer_ = 0;
  const env::MonotonicTime time = now();
  // A connection that dies is replaced by the last one, which has been looked at.
  for (size_t i = connections_.size(); i-- > 0;) connections_[i]->sweep(time);
  if (!connections_.empty()) arm_sweep();
}

std::string_view Worker::date_line() {
  const int64_t second = clock_.wall_ns() / env::kSecond;
  if (second != date_second_) {
    date_second_ = second;
    date_line_ = format_date(second);
  }
  return date_line_;
}

void Worker::new_request_id(std::string& out) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, next_request_++).ptr;
  out.assign(config_.request_id_prefix).append(digits, end);
}

void Worker::flush_later(Connection& connection) {
  if (std::exchange(connection.flush_is_scheduled, true)) return;
  to_flush_.push_back(&connection);
  if (std::exchange(flush_scheduled_, true)) return;
  executor_.defer([this] {
    flush_scheduled_ = false;
    // A flush writes; it never schedules another flush.
    for (Connection* waiting : to_flush_) {
      if (waiting == nullptr) continue;
      waiting->flush_is_scheduled = false;
      waiting->flush();
    }
    to_flush_.clear();
    report_if_stopped();
  });
}

void Worker::retire(Connection& connection) {
  const size_t place = connection.place;
  MR_ASSERT(place < connections_.size() && connections_[place].get() == &connection);
  if (connection.flush_is_scheduled) {
    std::replace(to_flush_.begin(), to_flush_.end(), &connection,
                 static_cast<Connection*>(nullptr));
  }
  closing_.push_back(std::move(connections_[place]));
  if (place + 1 < connections_.size()) {
    connections_[place] = std::move(connections_.back());
    connections_[place]->place = place;
  }
  connections_.pop_back();
  if (std::exchange(burial_scheduled_, true)) return;
  executor_.post([this] { empty_graveyard(); });
}

void Worker::empty_graveyard() {
  burial_scheduled_ = false;
  closing_.clear();
  report_if_stopped();
}

void Worker::report_if_stopped() {
  if (!stopping_ || !connections_.empty() || burial_scheduled_ || flush_scheduled_) return;
  if (!stopped_) return;
  if (sweep_timer_ != 0) executor_.cancel(sweep_timer_);
  if (grace_timer_ != 0) executor_.cancel(grace_timer_);
  exchanges_.reset();  // Here, because late answers come on this thread.
  // The listener of this call may destroy the worker at once, from another thread.
  Task stopped = std::exchange(stopped_, nullptr);
  stopped();
}

}  // namespace multiraft::http
