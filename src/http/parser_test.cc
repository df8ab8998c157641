#include "http/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "http/chunks.h"

namespace multiraft::http {
namespace {

using testing::HasSubstr;

std::string refusal(const std::string& text) {
  RequestHead head;
  const HeadOutcome outcome = parse_head(text, head);
  return outcome.ok ? "" : std::string(outcome.detail);
}

TEST(Head_Complete, GivesWhatMatters) {
  const std::string text =
      "PUT /1/k?x HTTP/1.1\r\nhost: h:1\r\ncontent-LENGTH: 12\r\nX-Request-ID:  id \r\n"
      "Expect: 100-Continue\r\nIf-Match: \"1\"\r\nIf-None-Match: *\r\nAccept: */*\r\n\r\n";
  RequestHead head;
  ASSERT_TRUE(parse_head(text, head).ok);
  EXPECT_EQ(head.method, Method::kPut);
  EXPECT_EQ(head.target, "/1/k?x");
  EXPECT_EQ(head.host, "h:1");
  EXPECT_EQ(head.content_length, 12U);
  EXPECT_EQ(head.request_id, "id");
  EXPECT_THAT(head.if_match, testing::ElementsAre("\"1\""));
  EXPECT_THAT(head.if_none_match, testing::ElementsAre("*"));
  EXPECT_TRUE(head.expects_continue);
  EXPECT_TRUE(head.http11);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(head.chunked);
}

TEST(Head_KeepAlive_DependsOnVersionAndConnection, AsInRfc9112) {
  RequestHead head;
  ASSERT_TRUE(parse_head("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n", head).ok);
  EXPECT_FALSE(head.keep_alive);
  ASSERT_TRUE(parse_head("GET / HTTP/1.0\r\n\r\n", head).ok);
  EXPECT_FALSE(head.keep_alive);
  ASSERT_TRUE(parse_head("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", head).ok);
  EXPECT_TRUE(head.keep_alive);
}

TEST(Head_Smuggling, IsRefused) {
  const std::string begin = "POST / HTTP/1.1\r\nHost: h\r\n";
  for (const char* fields : {
           "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
           "Content-Length: 5\r\nContent-Length: 5\r\n",
           "Content-Length: 5\r\nContent-Length: 6\r\n",
           "Content-Length: 5, 5\r\n",
           "Content-Length: +5\r\n",
           "Content-Length: -5\r\n",
           "Content-Length: 0x5\r\n",
           "Content-Length: 5 5\r\n",
           "Content-Length: \r\n",
           "Content-Length: 99999999999999999999\r\n",
           "Content-Length : 5\r\n",
           "Transfer-Encoding: gzip\r\n",
           "Transfer-Encoding: identity\r\n",
           "Transfer-Encoding: gzip, chunked\r\n",
           "Transfer-Encoding: chunked, chunked\r\n",
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
           "Transfer-Encoding: xchunked\r\n",
           "Transfer-Encoding : chunked\r\n",
           "X: a\r\n Transfer-Encoding: chunked\r\n",
           "X: a\nTransfer-Encoding: chunked\r\n",
           "X: a\rb\r\n",
           "Host: other\r\n",
           " Leading: blank\r\n",
           ": no name\r\n",
           "no colon\r\n",
       }) {
    EXPECT_NE(refusal(begin + fields + "\r\n"), "") << fields;
  }
  EXPECT_NE(refusal("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), "");
}

TEST(Head_StartLine_Malformed, IsRefused) {
  for (const char* line : {"complete nonsense", "GET / HTTP/9.9", "GET / HTTP/2.0", "GET /",
                           "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "G@T / HTTP/1.1", " / HTTP/1.1",
                           "GET /a\tb HTTP/1.1", "GET /a b HTTP/1.1", "GET / http/1.1"}) {
    EXPECT_NE(refusal(std::string(line) + "\r\nHost: h\r\n\r\n"), "") << line;
  }
}

TEST(Head_Host, IsRequiredOnceAndValid) {
  EXPECT_THAT(refusal("GET / HTTP/1.1\r\n\r\n"), HasSubstr("Host field is missing"));
  EXPECT_THAT(refusal("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), HasSubstr("malformed"));
  EXPECT_THAT(refusal("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"), HasSubstr("several"));
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "");
  EXPECT_EQ(refusal("GET / HTTP/1.0\r\n\r\n"), "");
}

TEST(Head_Expectation_Unknown, IsOfItsOwnKind) {
  RequestHead head;
  const auto outcome = parse_head("GET / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n", head);
  EXPECT_FALSE(outcome.ok);
  EXPECT_EQ(outcome.error, ProtocolError::kBadExpectation);
}

TEST(HeadEnd_InPieces_IsFoundWhereItIs, AtEveryCut) {
  const std::string text = "GET / HTTP/1.1\r\nA: b\r\n\r\nrest";
  for (size_t cut = 0; cut < text.size(); ++cut) {
    size_t searched = 0;
    size_t end = find_head_end(std::string_view(text).substr(0, cut), searched);
    if (end == 0) end = find_head_end(text, searched);
    EXPECT_EQ(end, text.size() - 4) << cut;
  }
}

TEST(Beginning_OfSomethingElse_IsNoticedAtOnce, ByItsFirstBytes) {
  for (const char* good : {"", "G", "GET", "BREW ", "GET /", "M-SEARCH *"}) {
    EXPECT_TRUE(may_begin_request(good)) << good;
  }
  for (const char* bad : {"\x16\x03\x01", " GET", "GET\r\n", "<html>", "{\"a\"",
                          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
    EXPECT_FALSE(may_begin_request(bad)) << bad;
  }
}

TEST(Head_MethodOfAnyLength, IsJudgedAlikeWholeAndInPieces) {
  for (const size_t length : {size_t{1}, size_t{31}, size_t{32}, size_t{33}, size_t{100}}) {
    const std::string text = std::string(length, 'A') + " / HTTP/1.1\r\nHost: h\r\n\r\n";
    RequestHead head;
    EXPECT_EQ(parse_head(text, head).ok, may_begin_request(text)) << length;
  }
}

using State = ChunkDecoder::State;

struct Decoded {
  State state = State::kMore;
  std::string body;
  size_t used = 0;
};

/// Feeds `text` in pieces of `piece` bytes.
Decoded decode(std::string_view text, size_t piece, size_t bytes_max = 1000) {
  MemoryBudget budget(limits::kMiB);
  BodyBuffer body(budget);
  ChunkDecoder decoder;
  Decoded out;
  while (out.used < text.size() && out.state == State::kMore) {
    const auto step = decoder.feed(text.substr(out.used, piece), body, bytes_max);
    out.used += step.used;
    out.state = step.state;
  }
  out.body = body.view();
  return out;
}

TEST(Chunks_InAnyPieces, AreJoined) {
  const std::string text =
      "5\r\nhello\r\n1;name=value;x=\"y\"\r\n \r\n00A\r\n0123456789\r\n0;last\r\nT: railer\r\n\r\n";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    const Decoded out = decode(text + "GET", piece);
    EXPECT_EQ(out.state, State::kDone) << piece;
    EXPECT_EQ(out.body, "hello 0123456789") << piece;
    EXPECT_EQ(out.used, text.size()) << piece;
  }
  // The split of an empty body on which Beast's own decoder asserts.
  EXPECT_EQ(decode("0\r\n\r\n", 1).state, State::kDone);
}

TEST(Chunks_Malformed, AreRefused) {
  for (const char* text :
       {"x\r\n", "\r\n", " 5\r\nhello\r\n", "5 \r\nhello", "5\nhello", "5\r\nhelloX",
        "5\r\nhello\n", "5\r\nhello\rX", "-5\r\n", "0x5\r\n", "5;a\nb\r\n", "5\rX", "0\r\n\n",
        "0\r\nT: x\n", "0\r\n\rX", ";\r\n", "+5\r\n"}) {
    EXPECT_EQ(decode(text, 100).state, State::kMalformed) << text;
  }
  EXPECT_EQ(decode("5;" + std::string(20'000, 'x'), 1000).state, State::kMalformed);
  EXPECT_EQ(decode("0\r\n" + std::string(20'000, 'x'), 1000).state, State::kMalformed);
}

TEST(Chunks_BeyondTheLimit, AreRefusedBeforeTheirData) {
  EXPECT_EQ(decode("3e9\r\n", 100).state, State::kTooLarge);
  EXPECT_EQ(decode("ffffffffffffffff\r\n", 100).state, State::kTooLarge);
  EXPECT_EQ(decode("3\r\nabc\r\n3\r\n", 100, 5).state, State::kTooLarge);
  EXPECT_EQ(decode("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 100, 5).state, State::kDone);
}

TEST(BodyBuffer_Budget, IsGivenBack) {
  MemoryBudget budget(100'000);
  {
    BodyBuffer one(budget);
    ASSERT_TRUE(one.append(std::string(90'000, 'x')));
    BodyBuffer two(budget);
    EXPECT_FALSE(two.append("x"));
    EXPECT_TRUE(two.room(5).empty());
    EXPECT_FALSE(one.append(std::string(90'000, 'x')));
    EXPECT_EQ(one.size(), 90'000U);
  }
  BodyBuffer three(budget);
  const auto room = three.room(5);
  EXPECT_EQ(room.size(), 5U);
  EXPECT_FALSE(budget.exhausted());
}

}  // namespace
}  // namespace multiraft::http
