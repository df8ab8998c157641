#pragma once
// The head of a request, parsed by Boost.Beast. Only http_parser.cc includes Beast.

#include <string_view>

#include "http/message.h"

namespace multiraft::http {

struct HeadOutcome {
  bool ok = false;
  ProtocolError error = ProtocolError::kMalformed;
  std::string_view detail;  ///< Static text for the client.
};

/// `bytes` is one complete head with its empty line (find_head_end()). On success `head` holds
/// views into it. Strict where leniency lets two parties disagree on where a request ends (RFC 9112
/// section 11.2): a length and a transfer coding together, several lengths, any coding but
/// "chunked", folded lines, no or several hosts are malformed.
HeadOutcome parse_head(std::string_view bytes, RequestHead& head);

/// The bytes of the head at the front of `bytes`, or 0 while its end has not come. `searched` is
/// where the last search ended: kept by the caller, 0 for a new request.
size_t find_head_end(std::string_view bytes, size_t& searched);

/// Whether a line of `bytes` ends without a CR.
bool has_bare_line_feed(std::string_view bytes);

/// False when `bytes`, the beginning of a head, can be no HTTP request whatever follows, so that
/// clients that speak something else need not wait for a timeout.
bool may_begin_request(std::string_view bytes);

}  // namespace multiraft::http
