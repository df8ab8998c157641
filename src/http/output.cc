// The writing half of Connection.

#include <charconv>

#include "base/assert.h"
#include "base/reuse.h"
#include "http/connection.h"
#include "http/worker.h"

namespace multiraft::http {
namespace {

/// A smaller value is cheaper to copy behind its head than to send as a part of its own.
constexpr size_t kCopiedValueBytesMax = 2 * limits::kKiB;
constexpr size_t kKeptBatchBytesMax = 64 * limits::kKiB;

bool has_no_body(uint16_t status) { return status == 204 || status == 304; }

void append_number(std::string& out, uint64_t number) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

}  // namespace

void Connection::flush() {
  if (state_ == State::kDead || writing_) return;
  gather();
  if (batch_.parts.empty()) {
    finish_if_spent();
  } else {
    write_batch();
  }
}

void Connection::gather() {
  while (first_ != nullptr && first_->finished_) {
    Exchange& exchange = *first_;
    const bool newest = first_ == last_ && !exchange.interim_;
    if (newest && !input_closed_ && (worker_.draining() || worker_.stopping())) {
      input_closed_ = true;
      linger_ = true;
    }
    if (!exchange.interim_) batch_.bytes += exchange.response.body_bytes();
    render(exchange, newest && input_closed_);
    pop_front();
  }
}

void Connection::render(Exchange& exchange, bool last) {
  if (exchange.interim_) return append_text("HTTP/1.1 100 Continue\r\n\r\n");
  render_head(exchange, last);
  Response& response = exchange.response;
  if (exchange.method == Method::kHead || has_no_body(response.status)) return;
  append_text(response.text);
  if (response.value.size() <= kCopiedValueBytesMax) {
    append_text(response.value);
  } else {
    append_value(response);
  }
  append_text(response.tail);
}

void Connection::render_head(const Exchange& exchange, bool last) {
  const Response& response = exchange.response;
  std::string& out = batch_.text;
  const size_t begin = out.size();
  out.append("HTTP/1.1 ");
  append_number(out, response.status);
  out.append(" ").append(reason_phrase(response.status)).append("\r\n");
  out.append(worker_.date_line());
  if (!has_no_body(response.status)) {
    out.append("Content-Length: ");
    append_number(out, response.body_bytes());
    out.append("\r\n");
    if (!response.content_type.empty()) {
      out.append("Content-Type: ").append(response.content_type).append("\r\n");
    }
  }
  if (last) {
    out.append("Connection: close\r\n");
  } else if (!exchange.http11_) {
    out.append("Connection: keep-alive\r\n");
  }
  out.append("X-Request-Id: ").append(exchange.request_id).append("\r\n");
  out.append(worker_.common_headers()).append(response.headers).append("\r\n");
  // append_text() cannot take a view into the string that it appends to.
  if (!batch_.parts.empty() && batch_.parts.back().value.empty()) {
    batch_.parts.back().size += out.size() - begin;
  } else {
    batch_.parts.push_back({begin, out.size() - begin, {}, {}});
  }
}

void Connection::append_text(std::string_view text) {
  if (text.empty()) return;
  if (batch_.parts.empty() || !batch_.parts.back().value.empty()) {
    batch_.parts.push_back({batch_.text.size(), 0, {}, {}});
  }
  batch_.text.append(text);
  batch_.parts.back().size += text.size();
}

void Connection::append_value(Response& response) {
  batch_.parts.push_back({0, 0, std::move(response.value), std::move(response.charge)});
}

void Connection::write_batch() {
  // Only now: the text has its final place.
  parts_.clear();
  size_t bytes = 0;
  for (const Part& part : batch_.parts) {
    parts_.push_back(part.value.empty()
                         ? std::string_view(batch_.text).substr(part.offset, part.size)
                         : part.value.view());
    bytes += parts_.back().size();
  }
  const Limits& limits = worker_.limits();
  const auto seconds = static_cast<int64_t>(bytes / limits.write_bytes_per_second_min);
  write_deadline_ = worker_.recent_now() + (limits.write_grace_ns + seconds * env::kSecond);
  writing_ = true;
  stream_->write(parts_, [this](const Status& status) { on_written(status); });
}

void Connection::on_written(const Status& status) {
  writing_ = false;
  unsent_bytes_ -= std::exchange(batch_.bytes, 0);
  batch_.parts.clear();
  clear_for_reuse(batch_.text, kKeptBatchBytesMax);
  if (!status) return die();
  advance();
}

void Connection::pop_front() {
  ExchangePtr oldest;
  oldest.exchange_ = first_;
  first_ = first_->next_;
  if (first_ == nullptr) last_ = nullptr;
  --queued_;
  oldest->connection_ = nullptr;
}

void Connection::finish_if_spent() {
  if (!input_closed_ || first_ != nullptr || state_ == State::kDiscard) return;
  if (linger_ && !end_of_input_) {
    begin_discard();
  } else {
    die();
  }
}

/// Closing a socket that still has unread bytes resets the connection, and the reset overtakes the
/// answer: so first the answer's end, then everything the client has on its way.
void Connection::begin_discard() {
  state_ = State::kDiscard;
  since_ = worker_.now();
  stream_->shutdown_write();
  read_more();
}

void Connection::die() {
  if (state_ == State::kDead) return;
  state_ = State::kDead;
  stream_->close();
  // What the batch holds may be in the kernel's hands until the connection is destroyed.
  while (first_ != nullptr) pop_front();
  worker_.stats().connections_closed.add();
  worker_.retire(*this);
}

}  // namespace multiraft::http
