#include "http/exchange.h"

#include "base/assert.h"
#include "base/reuse.h"
#include "http/connection.h"

namespace multiraft::http {
namespace {

constexpr size_t kSpareMax = 1024;

}  // namespace

void Exchange::finish() {
  MR_ASSERT_MSG(!finished_, "an exchange is answered once");
  finished_ = true;
  held_.reset();
  if (connection_ != nullptr) connection_->exchange_finished(*this);
}

std::string Exchange::local_address() const {
  MR_ASSERT(connection_ != nullptr);
  return connection_->local_address();
}

bool Exchange::is_server_overloaded() const {
  MR_ASSERT(connection_ != nullptr);
  return connection_->is_server_overloaded();
}

bool Exchange::hold(size_t bytes) {
  MR_ASSERT(connection_ != nullptr);
  if (bytes < kChargedBytesMin) return true;
  held_ = MemoryCharge::take(connection_->budget(), bytes);
  return held_ != nullptr;
}

void ExchangePtr::reset() {
  Exchange* exchange = std::exchange(exchange_, nullptr);
  if (exchange != nullptr && --exchange->references_ == 0) exchange->pool_->give_back(exchange);
}

ExchangePtr ExchangePool::take() {
  ++outstanding_;
  if (spare_.empty()) {
    auto* exchange = new Exchange();
    exchange->pool_ = this;
    return ExchangePtr(exchange);
  }
  Exchange* exchange = spare_.back();
  spare_.pop_back();
  return ExchangePtr(exchange);
}

void ExchangePool::give_back(Exchange* exchange) {
  --outstanding_;
  if (left_ || spare_.size() >= kSpareMax) {
    delete exchange;
    if (left_ && outstanding_ == 0) delete this;
    return;
  }
  clear_for_reuse(exchange->target, kReusedTextBytesMax);
  clear_for_reuse(exchange->host, kReusedTextBytesMax);
  clear_for_reuse(exchange->request_id, kReusedTextBytesMax);
  exchange->method = Method::kOther;
  exchange->route = 0;
  if (exchange->state) exchange->state->clear();
  exchange->response.clear();
  exchange->held_.reset();
  exchange->connection_ = nullptr;
  exchange->next_ = nullptr;
  exchange->finished_ = false;
  exchange->interim_ = false;
  spare_.push_back(exchange);
}

void ExchangePool::leave() {
  left_ = true;
  if (outstanding_ == 0) delete this;
}

ExchangePool::~ExchangePool() {
  for (Exchange* exchange : spare_) delete exchange;
}

}  // namespace multiraft::http
