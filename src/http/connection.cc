#include "http/connection.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/coverage.h"
#include "http/parser.h"
#include "http/worker.h"

namespace multiraft::http {
namespace {

/// What an idle connection holds; most requests fit.
constexpr size_t kReadBytesFirst = 4 * limits::kKiB;
constexpr size_t kReadBytesMax = 2 * limits::kHttpHeaderBytesMax;
constexpr size_t kChunkReadBytes = 16 * limits::kKiB;
constexpr size_t kRequestIdBytesMax = 128;

/// Names that are safe in headers, logs and URLs.
bool is_sane_request_id(std::string_view id) {
  constexpr std::string_view kOthers = "-_.:/+=@~";
  if (id.empty() || id.size() > kRequestIdBytesMax) return false;
  return std::all_of(id.begin(), id.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kOthers.find(c) != std::string_view::npos;
  });
}

}  // namespace

void ReadBuffer::consume_after(size_t kept, size_t bytes) {
  char* const to = data_.get() + begin_ + kept;
  std::memmove(to, to + bytes, size() - kept - bytes);
  end_ -= bytes;
}

void ReadBuffer::reserve(size_t capacity) {
  if (capacity != capacity_) {
    capacity = std::max(capacity, size());
    auto data = std::make_unique_for_overwrite<char[]>(capacity);
    if (!empty()) std::memcpy(data.get(), data_.get() + begin_, size());
    data_ = std::move(data);
    capacity_ = capacity;
  } else if (begin_ > 0 && !empty()) {
    std::memmove(data_.get(), data_.get() + begin_, size());
  }
  end_ -= begin_;
  begin_ = 0;
}

Connection::Connection(Worker& worker, std::unique_ptr<env::Stream> stream, ConnectionSlot slot,
                       bool probes_only)
    : worker_(worker),
      stream_(std::move(stream)),
      slot_(std::move(slot)),
      probes_only_(probes_only),
      body_(worker.budget()),
      expected_answer_bytes_(worker.limits().unsent_bytes_max / 2),
      since_(worker.now()) {
  worker_.stats().connections_accepted.add();
}

Connection::~Connection() { MR_ASSERT(state_ == State::kDead); }

bool Connection::is_server_overloaded() const { return worker_.is_overloaded(); }

const std::shared_ptr<MemoryBudget>& Connection::budget() const { return worker_.shared_budget(); }

/// A client that does not take its answers is not asked for more requests: bytes of requests are
/// small, those of answers need not be.
bool Connection::may_take_another() const {
  const Limits& limits = worker_.limits();
  if (unsafe_in_flight_ || queued_ >= limits.pipeline_max) return false;
  if (queued_ == 0) return unsent_bytes_ < limits.unsent_bytes_max;
  return unsent_bytes_ + (in_flight_ + 1) * expected_answer_bytes_ <= limits.unsent_bytes_max;
}

void Connection::start() { read_more(); }

void Connection::refuse_connection() {
  worker_.stats().connections_refused.add();
  refuse(ProtocolError::kTooManyConnections,
         "this node has too many connections; only probes and metrics are answered");
}

void Connection::read_more() {
  if (state_ == State::kDead || reading_ || end_of_input_) return;
  const std::span<char> target = read_target();
  if (target.empty()) return;
  reading_ = true;
  stream_->read_some(target, [this](const Result<size_t>& result) { on_read(result); });
}

std::span<char> Connection::read_target() {
  if (state_ == State::kDiscard) {
    body_.clear();
    in_.consume(in_.size());
    in_.reserve(kReadBytesFirst);
    return in_.room();
  }
  // What the client sends while an answer is awaited stays in the socket: it is slowed down there.
  if (input_closed_ || state_ == State::kComplete || !may_take_another()) {
    return {};
  }
  if (state_ == State::kBody) {
    const std::span<char> room = body_.room(body_bytes_);
    if (room.empty()) refuse(ProtocolError::kOverloaded, "the server holds too many bodies");
    return room;
  }
  if (state_ == State::kHead) {
    // The buffer follows the size of what arrives, so that an idle connection costs little.
    size_t capacity = std::max(in_.capacity(), kReadBytesFirst);
    if (in_.room().empty()) capacity = std::min(2 * capacity, kReadBytesMax);
    if (in_.empty() && last_read_bytes_ < capacity / 4) capacity = kReadBytesFirst;
    in_.reserve(capacity);
  }
  MR_ASSERT(!in_.room().empty());
  return in_.room();
}

void Connection::on_read(const Result<size_t>& result) {
  reading_ = false;
  if (!result) return die();
  if (*result == 0) return on_end_of_input();
  if (state_ == State::kDiscard) return read_more();
  if (input_closed_) return body_.clear();
  if (state_ == State::kBody) {
    body_.commit(*result);
  } else {
    in_.commit(*result);
    last_read_bytes_ = *result;
  }
  advance();
}

void Connection::on_end_of_input() {
  end_of_input_ = true;
  if (state_ == State::kDiscard) return die();
  advance();
}

void Connection::advance() {
  if (advancing_) return;
  advancing_ = true;
  while (step()) {
  }
  advancing_ = false;
  flush();
  read_more();
}

/// True when there may be more to do with the bytes that are there.
bool Connection::step() {
  if (input_closed_) return false;
  switch (state_) {
    case State::kHead:
      return step_head();
    case State::kBody:
      return step_body();
    case State::kChunks:
      return step_chunks();
    case State::kComplete:
      if (!may_dispatch()) return false;
      dispatch();
      return true;
    case State::kDiscard:
    case State::kDead:
      return false;
  }
  return false;
}

/// All that is there has been looked at and is not a whole request.
bool Connection::need_more(bool within_request) {
  if (!end_of_input_) return false;
  if (within_request) {
    refuse(ProtocolError::kMalformed, "the connection ended within the request");
  }
  // The client has said all; it may still be waiting for answers.
  input_closed_ = true;
  return false;
}

bool Connection::step_head() {
  if (!may_take_another()) return false;
  // RFC 9112 2.2: an empty line before the request is somebody's old habit.
  while (in_.view().substr(0, 2) == "\r\n") {
    in_.consume(2);
    searched_ = 0;
    head_began_ = false;
  }
  head_bytes_ = find_head_end(in_.view(), searched_);
  if (head_bytes_ == 0) return head_incomplete();
  head_began_ = false;
  const std::string_view head = in_.view().substr(0, head_bytes_);
  if (head_bytes_ > limits::kHttpHeaderBytesMax) {
    return refuse_large_head(head.find('\n') >= limits::kHttpHeaderBytesMax);
  }
  const HeadOutcome parsed = parse_head(head, head_);
  if (!parsed.ok) {
    refuse(parsed.error, parsed.detail);
    return false;
  }
  if (probes_only_) {
    if (!worker_.handler().is_probe(head_)) {
      refuse_connection();
      return false;
    }
    MR_COVERAGE("probe answered beyond the limit of connections");
    head_.keep_alive = false;
  }
  body_bytes_max_ = worker_.handler().body_bytes_max(head_);
  if (head_.chunked) return begin_chunks();
  return begin_body();
}

bool Connection::refuse_large_head(bool target) {
  refuse(target ? ProtocolError::kTargetTooLong : ProtocolError::kHeadTooLarge,
         target ? "the request target is too long" : "the header fields are too large");
  return false;
}

bool Connection::head_incomplete() {
  const std::string_view head = in_.view();
  if (head.empty()) return need_more(false);
  if (head != "\r" && !may_begin_request(head)) {
    refuse(ProtocolError::kMalformed, "this is not an HTTP request");
  } else if (has_bare_line_feed(head)) {
    // Its empty line may have come already, and would be waited for until the timeout.
    refuse(ProtocolError::kMalformed, "a line does not end in CRLF");
  } else if (head.size() >= limits::kHttpHeaderBytesMax) {
    return refuse_large_head(head.find('\n') == std::string_view::npos);
  } else if (!head_began_) {
    head_began_ = true;
    since_ = worker_.now();
  }
  return input_closed_ ? false : need_more(true);
}

bool Connection::begin_body() {
  state_ = State::kBody;
  body_bytes_ = 0;
  const uint64_t announced = head_.content_length.value_or(0);
  if (announced > body_bytes_max_) {
    refuse(ProtocolError::kBodyTooLarge, "the body is too large");
    return false;
  }
  body_bytes_ = static_cast<size_t>(announced);
  const size_t arrived = in_.size() - head_bytes_;
  body_is_inline_ = arrived >= body_bytes_;
  if (body_is_inline_) {
    state_ = State::kComplete;
    return true;
  }
  if (head_.expects_continue && !worker_.handler().wants_body(head_)) {
    MR_COVERAGE("request refused before its body");
    refuse(ProtocolError::kMalformed, "the body is not wanted");
    return false;
  }
  if (arrived == 0) send_continue();
  if (!body_.append(in_.view().substr(head_bytes_))) {
    refuse(ProtocolError::kOverloaded, "the server holds too many bodies");
    return false;
  }
  in_.consume_after(head_bytes_, arrived);
  since_ = worker_.now();
  window_bytes_ = body_.size();
  return need_more(true);
}

bool Connection::step_body() {
  if (body_.size() < body_bytes_) return need_more(true);
  state_ = State::kComplete;
  return true;
}

bool Connection::begin_chunks() {
  state_ = State::kChunks;
  body_is_inline_ = false;
  chunks_ = ChunkDecoder();
  if (head_.expects_continue && !worker_.handler().wants_body(head_)) {
    refuse(ProtocolError::kMalformed, "the body is not wanted");
    return false;
  }
  if (in_.size() == head_bytes_) send_continue();
  // The head stays where it is until the request is handled, so the room behind it has to do. The
  // views into it move along by parsing it once more.
  if (in_.room().size() < kChunkReadBytes) {
    in_.reserve(std::max(in_.capacity(), in_.size() + kChunkReadBytes));
    MR_ASSERT(parse_head(in_.view().substr(0, head_bytes_), head_).ok);
  }
  since_ = worker_.now();
  window_bytes_ = 0;
  return true;
}

bool Connection::step_chunks() {
  const std::string_view bytes = in_.view().substr(head_bytes_);
  const ChunkDecoder::Step step = chunks_.feed(bytes, body_, body_bytes_max_);
  in_.consume_after(head_bytes_, step.used);
  switch (step.state) {
    case ChunkDecoder::State::kMore:
      return need_more(true);
    case ChunkDecoder::State::kDone:
      state_ = State::kComplete;
      return true;
    case ChunkDecoder::State::kMalformed:
      refuse(ProtocolError::kMalformed, "the chunked body is malformed");
      return false;
    case ChunkDecoder::State::kTooLarge:
      refuse(ProtocolError::kBodyTooLarge, "the body is too large");
      return false;
    case ChunkDecoder::State::kNoMemory:
      refuse(ProtocolError::kOverloaded, "the server holds too many bodies");
      return false;
  }
  return false;
}

/// RFC 9112 9.3.2: requests of one connection may run side by side only if all of them are safe.
bool Connection::may_dispatch() const {
  return in_flight_ == 0 || (is_safe(head_.method) && !unsafe_in_flight_);
}

void Connection::dispatch() {
  ExchangePtr exchange = enqueue(is_safe(head_.method));
  describe(*exchange);
  if (!head_.keep_alive) {
    input_closed_ = true;
    linger_ = true;  // It may have sent more than it should, and closing would reset the answer.
  }
  const std::string_view body =
      body_is_inline_ ? in_.view().substr(head_bytes_, body_bytes_) : body_.view();
  worker_.handler().handle(std::move(exchange), head_, body);
  in_.consume(head_bytes_ + (body_is_inline_ ? body_bytes_ : 0));
  body_.clear();
  searched_ = 0;
  since_ = worker_.recent_now();
  state_ = State::kHead;
}

/// Answers instead of the handler and takes nothing more.
void Connection::refuse(ProtocolError error, std::string_view detail) {
  const bool with_head = state_ != State::kHead;
  if (error == ProtocolError::kTimeout) {
    worker_.stats().timeouts.add();
  } else {
    worker_.stats().protocol_errors.add();
  }
  input_closed_ = true;
  linger_ = true;
  if (!reading_) body_.clear();  // Else the read under way writes into it.
  const ExchangePtr exchange = enqueue(true);
  if (with_head) {
    describe(*exchange);
  } else {
    worker_.new_request_id(exchange->request_id);
  }
  worker_.handler().refuse(*exchange, with_head ? &head_ : nullptr, error, detail);
  exchange->finish();
}

void Connection::send_continue() {
  if (!head_.expects_continue || !head_.http11) return;
  const ExchangePtr exchange = enqueue(true);
  --in_flight_;
  exchange->interim_ = true;
  exchange->finished_ = true;
}

ExchangePtr Connection::enqueue(bool safe) {
  ExchangePtr exchange = worker_.exchanges().take();
  exchange->connection_ = this;
  exchange->safe_ = safe;
  exchange->started_ = worker_.now();
  ++exchange->references_;  // The queue's; pop_front() takes it.
  (last_ == nullptr ? first_ : last_->next_) = &*exchange;
  last_ = &*exchange;
  ++queued_;
  ++in_flight_;
  if (!safe) unsafe_in_flight_ = true;
  return exchange;
}

void Connection::describe(Exchange& exchange) const {
  exchange.method = head_.method;
  exchange.http11_ = head_.http11;
  exchange.target.assign(head_.target);
  exchange.host.assign(head_.host);
  if (is_sane_request_id(head_.request_id)) {
    exchange.request_id.assign(head_.request_id);
  } else {
    worker_.new_request_id(exchange.request_id);
  }
}

void Connection::exchange_finished(Exchange& exchange) {
  --in_flight_;
  if (!exchange.safe_) unsafe_in_flight_ = false;
  const size_t bytes = exchange.response.body_bytes();
  unsent_bytes_ += bytes;
  expected_answer_bytes_ = std::max(bytes, expected_answer_bytes_ / 2);
  since_ = worker_.now();
  worker_.stats().record(exchange.route, exchange.response.status, since_ - exchange.started_);
  if (advancing_) return;
  if (in_flight_ == 0) {
    advance();
  } else {
    worker_.flush_later(*this);
  }
}

void Connection::sweep(env::MonotonicTime now) {
  const Limits& limits = worker_.limits();
  if (writing_) {
    if (now < write_deadline_) return;
    MR_COVERAGE("client takes no answer");
    worker_.stats().timeouts.add();
    return die();
  }
  if (state_ == State::kDiscard) {
    if (now - since_ >= limits.linger_ns) die();
    return;
  }
  if (input_closed_ || in_flight_ > 0) return;
  const int64_t waited_ns = now - since_;
  if (state_ == State::kHead && probes_only_) {
    if (waited_ns >= limits.probe_head_timeout_ns) refuse_connection();
  } else if (state_ == State::kHead && head_began_) {
    if (waited_ns < limits.head_timeout_ns) return;
    refuse(ProtocolError::kTimeout, "the header took too long to arrive");
  } else if (state_ == State::kHead) {
    if (waited_ns >= limits.idle_timeout_ns) die();
  } else if (waited_ns >= limits.body_window_ns) {
    if (body_.size() - window_bytes_ < limits.body_window_bytes_min) {
      return refuse(ProtocolError::kTimeout, "the body arrives too slowly");
    }
    since_ = now;
    window_bytes_ = body_.size();
  }
}

void Connection::stop() {
  if (state_ == State::kHead && first_ == nullptr && !writing_) die();
}

}  // namespace multiraft::http
