#include "host/admission.h"

#include <algorithm>
#include <utility>

#include "base/coverage.h"

namespace multiraft::host {
namespace {

Status overloaded(const char* what, bool group) {
  return {StatusCode::kOverloaded, std::string(what) +
                                       (group ? " in this group" : " on this node") +
                                       ": it was not accepted; try again after a moment"};
}

bool exceeds(size_t used, size_t more, size_t limit) {
  return used > 0 && (used > limit || more > limit - used);
}

}  // namespace

Admission::Ticket::Ticket(std::shared_ptr<Account> account, Load part)
    : account_(std::move(account)), part_(part) {
  for (Load* load : {&account_->own_, account_->all_.get()}) {
    load->writes += part_.writes;
    load->write_bytes += part_.write_bytes;
    load->reads += part_.reads;
  }
}

Admission::Ticket& Admission::Ticket::operator=(Ticket&& other) noexcept {
  if (this == &other) return *this;
  release();
  account_ = std::move(other.account_);
  part_ = other.part_;
  return *this;
}

void Admission::Ticket::release() {
  if (!account_) return;
  for (Load* load : {&account_->own_, account_->all_.get()}) {
    load->writes -= part_.writes;
    load->write_bytes -= part_.write_bytes;
    load->reads -= part_.reads;
  }
  account_.reset();
}

std::shared_ptr<Admission::Account> Admission::open_account() const {
  return std::make_shared<Account>(all_);
}

void Admission::note_uncommitted(Account& account, size_t bytes) const {
  all_->uncommitted_bytes += bytes;
  all_->uncommitted_bytes -= account.own_.uncommitted_bytes;
  account.own_.uncommitted_bytes = bytes;
}

size_t Admission::proposal_room(const Account& account) const {
  const auto left = [](size_t used, size_t limit) { return used < limit ? limit - used : 0; };
  return std::min(left(account.load().uncommitted_bytes, limits_.uncommitted_bytes_of_group),
                  left(all_->uncommitted_bytes, limits_.uncommitted_bytes));
}

Result<Admission::Ticket> Admission::admit_write(const std::shared_ptr<Account>& account,
                                                 size_t bytes) const {
  const Load& own = account->load();
  if (own.writes >= limits_.writes_of_group) return overloaded("too many writes wait", true);
  if (exceeds(own.write_bytes, bytes, limits_.write_bytes_of_group)) {
    return overloaded("too many bytes of writes wait", true);
  }
  if (all_->writes >= limits_.writes) {
    MR_COVERAGE("write refused: too many wait in the worker");
    return overloaded("too many writes wait", false);
  }
  if (exceeds(all_->write_bytes, bytes, limits_.write_bytes)) {
    MR_COVERAGE("write refused: too many bytes wait in the worker");
    return overloaded("too many bytes of writes wait", false);
  }
  return Ticket(account, {.writes = 1, .write_bytes = bytes});
}

Result<Admission::Ticket> Admission::admit_read(const std::shared_ptr<Account>& account) const {
  if (account->load().reads >= limits_.reads_of_group) {
    return overloaded("too many reads wait", true);
  }
  if (all_->reads >= limits_.reads) {
    MR_COVERAGE("read refused: too many wait in the worker");
    return overloaded("too many reads wait", false);
  }
  return Ticket(account, {.reads = 1});
}

}  // namespace multiraft::host
