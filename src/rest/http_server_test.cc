// The protocol over real sockets: connections, bodies, limits, timeouts, stopping.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "rest/testing/fake_service.h"

namespace multiraft::rest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string kHost = "Host: localhost:1\r\n";

std::string get(const std::string& target) {
  return "GET " + target + " HTTP/1.1\r\n" + kHost + "\r\n";
}
std::string put_body(const std::string& key, const std::string& value) {
  return R"({"Key":")" + key + R"(","Value":")" + value + "\"}";
}
std::string put(const std::string& key, const std::string& value, const std::string& headers = "") {
  const std::string body = put_body(key, value);
  return "PUT /1 HTTP/1.1\r\n" + kHost + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
std::string chunk(const std::string& data) {
  char size[32];
  std::snprintf(size, sizeof size, "%zx\r\n", data.size());
  return size + data + "\r\n";
}

TEST(HttpServer_KeepAlive, AnswersOneRequestAfterTheOther) {
  TestServer s;
  auto client = s.connect();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client->exchange(put("k", std::to_string(i))).status, 204);
    const Answer answer = client->exchange(get("/1/k"));
    EXPECT_EQ(answer.body, std::to_string(i) + "\n");
    EXPECT_EQ(answer.header("connection"), "(absent)");
  }
}

TEST(HttpServer_ConnectionClose, IsKept) {
  TestServer s;
  auto client = s.connect();
  client->send("GET /livez HTTP/1.1\r\n" + kHost + "Connection: close\r\n\r\n" + get("/livez"));
  const std::string all = client->receive_all();
  EXPECT_THAT(all, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(all, HasSubstr("Connection: close\r\n"));
  EXPECT_EQ(all.find("HTTP/1.1", 1), std::string::npos);
}

TEST(HttpServer_Http10, ClosesUnlessAskedNotTo) {
  TestServer s;
  auto one = s.connect();
  one->send("GET /livez HTTP/1.0\r\n\r\n");
  EXPECT_THAT(one->receive_all(), HasSubstr("Connection: close\r\n"));
  auto two = s.connect();
  const std::string text = "GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
  EXPECT_EQ(two->exchange(text).header("connection"), "keep-alive");
  EXPECT_EQ(two->exchange(text).status, 200);
}

TEST(HttpServer_PipelinedReads_RunTogetherAndAnswerInOrder, EvenIfTheLastIsReadyFirst) {
  TestServer s;
  s.request("PUT", "/1", put_body("a", "one"));
  s.request("PUT", "/1", put_body("b", "two"));
  auto client = s.connect();
  EXPECT_EQ(client->exchange(get("/1/none")).status, 404);  // Its answers are small.
  s.cluster.hold();
  client->send(get("/1/a") + get("/1/none") + get("/1/b"));
  s.cluster.wait_held(3);
  s.cluster.release(true);
  EXPECT_EQ(client->receive().body, "one\n");
  EXPECT_EQ(client->receive().status, 404);
  EXPECT_EQ(client->receive().body, "two\n");
}

// RFC 9112 9.3.2: a read behind a write sees it, and a write waits for what is before it.
TEST(HttpServer_PipelinedWrites_WaitForEachOther, AndReadsForThem) {
  TestServer s;
  s.cluster.hold();
  auto client = s.connect();
  client->send(get("/1/k") + put("k", "1") + get("/1/k") + put("k", "2") + get("/1/k"));
  for (int step = 0; step < 5; ++step) {
    s.cluster.wait_held(1);
    EXPECT_EQ(s.cluster.calls().size(), static_cast<size_t>(step + 1));
    s.cluster.release(false, step < 4);
  }
  std::vector<int> statuses;
  std::string bodies;
  for (int i = 0; i < 5; ++i) {
    const Answer answer = client->receive();
    statuses.push_back(answer.status);
    if (answer.status == 200) bodies += answer.body;
  }
  EXPECT_THAT(statuses, ElementsAre(404, 204, 200, 204, 200));
  EXPECT_EQ(bodies, "1\n2\n");
}

TEST(HttpServer_PipelineBeyondItsDepth, WaitsInTheSocket) {
  RestOptions options;
  options.limits.pipeline_max = 4;
  TestServer s(options, 1);
  auto client = s.connect();
  EXPECT_EQ(client->exchange(get("/1/k")).status, 404);  // Its answers are small.
  const size_t before = s.cluster.calls().size();
  s.cluster.hold();
  std::string text;
  for (int i = 0; i < 500; ++i) text += get("/1/k" + std::to_string(i));
  client->send(text);
  s.cluster.wait_held(4);
  EXPECT_EQ(s.cluster.calls().size(), before + 4);
  s.cluster.release();
  for (int i = 0; i < 500; ++i) ASSERT_EQ(client->receive().status, 404) << i;
}

TEST(HttpServer_HalfClosedClient_StillGetsItsAnswers, ThenTheEnd) {
  TestServer s;
  s.cluster.hold();
  auto client = s.connect();
  client->send(put("k", "v") + get("/1/k"));
  client->end();
  s.cluster.wait_held(1);
  s.cluster.release();
  EXPECT_EQ(client->receive().status, 204);
  EXPECT_EQ(client->receive().body, "v\n");
  EXPECT_EQ(client->receive_all(), "");
}

TEST(HttpServer_EndWithinARequest_IsSaid, WhereverItEnds) {
  TestServer s;
  const std::string whole = put("k", "v");
  const std::string chunked =
      "PUT /1 HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n5\r\nab";
  for (const std::string& text :
       {whole.substr(0, 10), whole.substr(0, whole.size() - 1), chunked}) {
    auto client = s.connect();
    client->send(text);
    client->end();
    EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 400 ")) << text;
  }
  EXPECT_TRUE(s.cluster.calls().empty());
}

TEST(HttpServer_ByteByByte_IsTheSame, AsInOnePiece) {
  TestServer s;
  auto client = s.connect();
  const std::string body = put_body("k", "v");
  for (const std::string& text :
       {"\r\n" + put("k", "v"),
        "PUT /1 HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n" +
            chunk(body.substr(0, 3)) + chunk(body.substr(3)) + "0\r\n\r\n"}) {
    for (const char c : text) client->send({&c, 1});
    EXPECT_EQ(client->receive().status, 204);
  }
  EXPECT_EQ(s.cluster.value_of(1, "k"), "v");
}

TEST(HttpServer_ChunkedBody_IsJoined, AndWhatFollowsIsTheNextRequest) {
  TestServer s;
  auto client = s.connect();
  const std::string value(100'000, 'x');
  const std::string body = put_body("k", value);
  std::string text = "POST /1 HTTP/1.1\r\n" + kHost + "Transfer-Encoding: Chunked\r\n\r\n";
  for (size_t at = 0; at < body.size(); at += 7'777) text += chunk(body.substr(at, 7'777));
  client->send(text + "0\r\nTrailer: x\r\n\r\n" + get("/1/k") + get("/livez"));
  EXPECT_EQ(client->receive().status, 204);
  EXPECT_EQ(client->receive().body, value + "\n");
  EXPECT_EQ(client->receive().body, "ok\n");
}

TEST(HttpServer_Expect100Continue_IsAnsweredOnlyWhenTheBodyIsWanted, BeforeItComes) {
  TestServer s;
  auto client = s.connect();
  const std::string body = put_body("k", "v");
  const std::string length = "Content-Length: " + std::to_string(body.size()) + "\r\n";
  const std::string expect = "Expect: 100-continue\r\n";
  EXPECT_EQ(client->exchange("PUT /1 HTTP/1.1\r\n" + kHost + length + expect + "\r\n").status, 100);
  EXPECT_EQ(client->exchange(body).status, 204);
  EXPECT_EQ(client
                ->exchange("PUT /1 HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n" +
                           expect + "\r\n")
                .status,
            100);
  EXPECT_EQ(client->exchange(chunk(body) + "0\r\n\r\n").status, 204);
  // The body is there already: nobody waits.
  EXPECT_EQ(client->exchange(put("k", "v", expect)).status, 204);
  EXPECT_EQ(
      client->exchange("PUT /1 HTTP/1.1\r\n" + kHost + expect + "Content-Length: 999999999\r\n\r\n")
          .status,
      413);
}

TEST(HttpServer_Head_HasTheLengthAndNoBody, OfItsGet) {
  TestServer s;
  auto client = s.connect();
  client->exchange(put("k", "value"));
  const Answer head = client->exchange("HEAD /1/k HTTP/1.1\r\n" + kHost + "\r\n", true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("content-length"), "6");
  EXPECT_EQ(client->exchange("HEAD /1/none HTTP/1.1\r\n" + kHost + "\r\n", true).status, 404);
  EXPECT_EQ(client->exchange(get("/1/k")).body, "value\n");
}

TEST(HttpServer_LargeValues_PassWholeAndSideBySide, InBothDirections) {
  TestServer s;
  auto client = s.connect();
  const std::string one(2 * limits::kMiB, '1');
  const std::string two(3 * limits::kMiB, '2');
  client->send(put("a", one) + put("b", two) + get("/1/a") + get("/1/b") + get("/1/a"));
  EXPECT_EQ(client->receive().status, 204);
  EXPECT_EQ(client->receive().status, 204);
  EXPECT_EQ(client->receive().body, one + "\n");
  EXPECT_EQ(client->receive().body, two + "\n");
  EXPECT_EQ(client->receive().body, one + "\n");
}

TEST(HttpServer_Malformed_IsAnsweredAndClosed, WhateverItIs) {
  TestServer s;
  const std::string head = "GET /1/k HTTP/1.1\r\n" + kHost;
  const std::pair<std::string, const char*> cases[] = {
      {"complete nonsense\r\n\r\n", "400"},
      {std::string("\0\1\2\3\r\n\r\n", 8), "400"},
      {"\x16\x03\x01\x02", "400"},
      {"GET / HTTP/9.9\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\n\r\n", "400"},
      {head + "Content-Length: minus\r\n\r\n", "400"},
      {head + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
      {"PUT /1 HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
      {head + "Expect: tea\r\n\r\n", "417"},
      {head + "X-Long: " + std::string(70'000, 'y') + "\r\n\r\n", "431"},
      {head + "X-Long: " + std::string(17'000, 'y') + "\r\n\r\n", "431"},
      {head + "X: " + std::string(17'000, 'y'), "431"},
      {"GET /1/" + std::string(70'000, 'k') + " HTTP/1.1\r\nHost: x\r\n\r\n", "414"},
      {"PUT /1 HTTP/1.1\r\n" + kHost + "Content-Length: 99999999999\r\n\r\n", "413"},
      {"PUT /1 HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n", "413"},
      {"DELETE /1/k HTTP/1.1\r\n" + kHost + "Content-Length: 100000\r\n\r\n", "413"},
      {"PUT /v1/groups/1/kv/k HTTP/1.1\r\n" + kHost + "Content-Length: 8388609\r\n\r\n", "413"},
      // A path or method that is wrong anyway is the better answer.
      {"PUT /nowhere HTTP/1.1\r\n" + kHost + "Content-Length: 999999999\r\n\r\n", "404"},
      {"PUT /1/k HTTP/1.1\r\n" + kHost + "Content-Length: 999999999\r\n\r\n", "405"},
  };
  for (const auto& [text, status] : cases) {
    auto client = s.connect();
    client->send(text);
    client->end();
    const std::string all = client->receive_all();
    EXPECT_THAT(all, StartsWith("HTTP/1.1 " + std::string(status))) << text.substr(0, 200);
    EXPECT_THAT(all, HasSubstr("application/problem+json")) << text.substr(0, 200);
    EXPECT_THAT(all, HasSubstr("Connection: close\r\n")) << text.substr(0, 200);
    EXPECT_THAT(all, HasSubstr("\"outcome\":\"not_applied\"")) << text.substr(0, 200);
  }
  EXPECT_TRUE(s.cluster.calls().empty());
}

TEST(HttpServer_GarbageBehindARequest_IsAnsweredInItsTurn, AfterTheRequest) {
  TestServer s;
  s.cluster.hold();
  auto client = s.connect();
  client->send(get("/1/k") + "garbage\r\n\r\n" + get("/livez"));
  s.cluster.wait_held(1);
  s.cluster.release();
  EXPECT_EQ(client->receive().status, 404);
  EXPECT_EQ(client->receive().status, 400);
  client->end();
  EXPECT_EQ(client->receive_all(), "");
}

TEST(HttpServer_BodyRefusedWhileItIsSent_IsAnsweredWithoutAReset, ToAClientThatGoesOn) {
  TestServer s;
  auto client = s.connect();
  client->send("PUT /1 HTTP/1.1\r\n" + kHost + "Content-Length: 60000000\r\n\r\n");
  client->send(std::string(5'000'000, 'x'));
  EXPECT_EQ(client->receive().status, 413);
}

TEST(HttpServer_SlowHeader_Gets408, AndTheConnectionEnds) {
  RestOptions options;
  options.limits.head_timeout_ns = 20 * env::kMillisecond;
  TestServer s(options);
  auto client = s.connect();
  client->send("GET /livez HT");
  EXPECT_EQ(client->receive().status, 408);
  client->end();
  EXPECT_EQ(client->receive_all(), "");
}

TEST(HttpServer_SlowBody_Gets408, OfEitherKind) {
  RestOptions options;
  options.limits.body_window_ns = 20 * env::kMillisecond;
  TestServer s(options);
  for (const char* kind :
       {"Content-Length: 50\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"}) {
    auto client = s.connect();
    client->send("PUT /1 HTTP/1.1\r\n" + kHost + kind);
    const Answer answer = client->receive();
    EXPECT_EQ(answer.status, 408);
    EXPECT_THAT(answer.body, HasSubstr("\"retryable\":true"));
  }
}

TEST(HttpServer_IdleConnection_IsClosedWithoutAnAnswer, InTime) {
  RestOptions options;
  options.limits.idle_timeout_ns = 20 * env::kMillisecond;
  TestServer s(options);
  auto fresh = s.connect();
  EXPECT_EQ(fresh->receive_all(), "");
  auto used = s.connect();
  EXPECT_EQ(used->exchange(get("/livez")).status, 200);
  EXPECT_EQ(used->receive_all(), "");
}

TEST(HttpServer_WaitingForTheBackend_IsNotIdle, HoweverLong) {
  RestOptions options;
  options.limits.idle_timeout_ns = 5 * env::kMillisecond;
  options.limits.head_timeout_ns = 5 * env::kMillisecond;
  TestServer s(options, 1);
  s.cluster.hold();
  auto client = s.connect();
  client->send(put("k", "v"));
  s.cluster.wait_held(1);
  // An idle neighbour that came later is closed meanwhile.
  EXPECT_EQ(s.connect()->receive_all(), "");
  s.cluster.release();
  EXPECT_EQ(client->receive().status, 204);
}

TEST(HttpServer_ClientThatTakesNoAnswer_IsDropped, AfterItsTime) {
  RestOptions options;
  options.limits.write_grace_ns = 20 * env::kMillisecond;
  options.limits.write_bytes_per_second_min = 1'000'000'000;
  TestServer s(options, 1);
  const std::string value(8 * limits::kMiB, 'x');
  ASSERT_EQ(s.request("PUT", "/1", put_body("k", value)).status, 204);
  auto client = s.connect();
  std::string text;
  for (int i = 0; i < 8; ++i) text += get("/1/k");
  client->send(text);
  // Once the server has given up, it says so in its counters.
  while (s.request("GET", "/metrics").body.find("multiraft_http_timeouts_total 1\n") ==
         std::string::npos) {
  }
  EXPECT_LT(client->receive_all().size(), 8 * value.size());
}

TEST(HttpServer_TooManyConnections_AreTold, ProbesAnswer_AndThereIsRoomAgainLater) {
  RestOptions options;
  options.limits.connections_max = 2;
  TestServer s(options);
  auto one = s.connect();
  auto two = s.connect();
  EXPECT_EQ(one->exchange(get("/1/k")).status, 404);
  EXPECT_EQ(two->exchange(get("/1/k")).status, 404);
  auto three = s.connect();
  const Answer refused = three->exchange(put("k", "v"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.header("retry-after"), "1");
  EXPECT_THAT(refused.body, HasSubstr("too_many_connections"));
  for (const char* probe : {"/livez", "/readyz", "/metrics"}) {
    const Answer answer = s.connect()->exchange(get(probe));
    EXPECT_EQ(answer.status, 200) << probe;
    EXPECT_EQ(answer.header("connection"), "close") << probe;
  }
  three.reset();
  two.reset();
  while (s.connect()->exchange(get("/1/k")).status != 404) {
  }
}

TEST(HttpServer_SilentConnectionPastTheLimit, GivesItsPlaceUp) {
  RestOptions options;
  options.limits.connections_max = 1;
  options.limits.probe_connections_max = 1;
  options.limits.probe_head_timeout_ns = 20 * env::kMillisecond;
  TestServer s(options);
  auto one = s.connect();
  EXPECT_EQ(one->exchange(get("/1/k")).status, 404);
  auto silent = s.connect();
  EXPECT_THAT(silent->receive_all(), HasSubstr("too_many_connections"));
  silent.reset();
  while (s.connect()->exchange(get("/livez")).status != 200) {
  }
}

TEST(HttpServer_TooManyPendingRequests_Are429, ButProbesAnswer) {
  RestOptions options;
  options.limits.pending_per_worker_max = 2;
  TestServer s(options, 1);
  s.cluster.hold();
  auto one = s.connect();
  one->send(get("/1/a") + get("/1/b"));
  s.cluster.wait_held(2);
  const Answer refused = s.request("PUT", "/1", put_body("k", "v"));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.header("retry-after"), "1");
  EXPECT_THAT(refused.body, HasSubstr("\"outcome\":\"not_applied\""));
  EXPECT_EQ(s.request("GET", "/livez").status, 200);
  EXPECT_EQ(s.request("GET", "/metrics").status, 200);
  s.cluster.release();
  EXPECT_EQ(one->receive().status, 404);
  EXPECT_EQ(one->receive().status, 404);
  EXPECT_EQ(s.request("PUT", "/1", put_body("k", "v")).status, 204);
}

TEST(HttpServer_BodiesBeyondTheBudget_Are429, AndSmallRequestsPass) {
  RestOptions options;
  options.limits.held_bytes_per_worker_max = 300'000;
  TestServer s(options, 1);
  const Answer refused = s.request("PUT", "/1", put_body("k", std::string(400'000, 'x')));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(s.request("PUT", "/1", put_body("k", std::string(100'000, 'x'))).status, 204);
  EXPECT_EQ(s.request("GET", "/1/k").status, 200);
}

TEST(HttpServer_CommandsThatWait_AreCharged, UntilTheyAreAnswered) {
  RestOptions options;
  options.limits.held_bytes_per_worker_max = 300'000;
  TestServer s(options, 1);
  s.cluster.hold();
  auto one = s.connect();
  one->send(put("a", std::string(100'000, 'x')));
  s.cluster.wait_held(1);
  // Its body takes as much again while it is read.
  EXPECT_EQ(s.request("PUT", "/1", put_body("b", std::string(150'000, 'x'))).status, 429);
  s.cluster.release();
  EXPECT_EQ(one->receive().status, 204);
  EXPECT_EQ(s.request("PUT", "/1", put_body("b", std::string(100'000, 'x'))).status, 204);
}

TEST(HttpServer_FirstRequestsOfAConnection_AreTakenAsLarge, UntilTheirAnswersAreKnown) {
  TestServer s({}, 1);
  s.cluster.hold();
  auto client = s.connect();
  std::string requests;
  for (int i = 0; i < 8; ++i) requests += get("/1/none");
  client->send(requests);
  s.cluster.wait_held(2);
  s.request("GET", "/livez");
  EXPECT_EQ(s.cluster.calls().size(), 2u);
  s.cluster.release();
  for (int i = 0; i < 8; ++i) EXPECT_EQ(client->receive().status, 404);
}

TEST(HttpServer_PipelineOfLargeAnswers, IsReadNoFasterThanTheClientTakesThem) {
  RestOptions options;
  options.limits.unsent_bytes_max = 128 * 1024;
  TestServer s(options, 1);
  s.request("PUT", "/1", put_body("k", std::string(100'000, 'x')));
  s.cluster.hold();
  auto client = s.connect();
  std::string requests;
  for (int i = 0; i < 8; ++i) requests += get("/1/k");
  client->send(requests);
  s.cluster.wait_held(2);
  const size_t before = s.cluster.calls().size();
  s.request("GET", "/livez");
  EXPECT_EQ(s.cluster.calls().size(), before);
  s.cluster.release();
  for (int i = 0; i < 8; ++i) EXPECT_EQ(client->receive().body.size(), 100'001u);
}

TEST(HttpServer_BareLineFeeds, AreRefusedAtOnce) {
  TestServer s;
  for (const std::string text :
       {"GET /livez HTTP/1.1\nHost: h\n\n", "GET /livez HTTP/1.1\r\nHost: h\n\r\n",
        "GET /livez HTTP/1.1\nHost: h\r\n", "GET /livez HTTP/1.1\r\nHost: h\r\n\n"}) {
    const Answer answer = s.connect()->exchange(text);
    EXPECT_EQ(answer.status, 400) << text;
    EXPECT_THAT(answer.body, HasSubstr("CRLF")) << text;
  }
}

TEST(HttpServer_ExpectContinue_OfARefusedRequest, GetsTheRefusalInsteadOf100) {
  TestServer s;
  for (const std::string line : {"PUT /no/such/path", "PATCH /1", "PUT /livez"}) {
    auto client = s.connect();
    const Answer answer = client->exchange(line + " HTTP/1.1\r\n" + kHost +
                                           "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    EXPECT_GE(answer.status, 400) << line;
  }
}

TEST(HttpServer_ConnectionCloseWithMoreBytesBehind, DeliversTheAnswer) {
  TestServer s;
  auto client = s.connect();
  client->send("GET /livez HTTP/1.1\r\n" + kHost + "Connection: close\r\n\r\n" +
               std::string(1'000'000, 'x'));
  EXPECT_THAT(client->receive_all(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST(HttpServer_ClientGone_BeforeTheAnswer, HarmsNobody) {
  TestServer s;
  s.cluster.hold();
  auto client = s.connect();
  client->send(get("/1/k") + get("/1/l"));
  s.cluster.wait_held(2);
  client.reset();
  s.cluster.release();
  EXPECT_EQ(s.request("PUT", "/1", put_body("k", "v")).status, 204);
}

TEST(HttpServer_PortInUse_IsSaid, AtTheStart) {
  TestServer s;
  env::Environment& env = s.env();
  auto executor = env.start_executor("other");
  FakeCluster cluster;
  FakeService service(cluster, *executor, true);
  RestOptions options;
  options.listen = {"127.0.0.1", s.server().port()};
  const auto second = RestServer::start(options, env, {executor.get()}, {&service});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(second.status().message(), HasSubstr("in use"));
  executor->stop();
}

TEST(HttpServer_Draining_AnswersAndCloses, AndIsNotReady) {
  TestServer s;
  auto client = s.connect();
  EXPECT_EQ(client->exchange(get("/readyz")).status, 200);
  s.server().begin_drain();
  EXPECT_EQ(s.request("GET", "/readyz").status, 503);
  EXPECT_EQ(s.request("GET", "/livez").status, 200);
  const Answer answer = client->exchange(put("k", "v"));
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.header("connection"), "close");
  client->end();
  EXPECT_EQ(client->receive_all(), "");
}

TEST(HttpServer_Stop_FinishesWhatIsInFlight, AndClosesTheIdle) {
  TestServer s;
  auto idle = s.connect();
  EXPECT_EQ(idle->exchange(get("/livez")).status, 200);
  s.cluster.hold();
  auto busy = s.connect();
  busy->send(put("k", "v"));
  s.cluster.wait_held(1);
  auto stopper = s.env().start_blocking_executor("stopper");
  stopper->post([&] { s.server().stop(); });
  EXPECT_EQ(idle->receive_all(), "");
  s.cluster.release();
  const Answer answer = busy->receive();
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.header("connection"), "close");
  busy->end();
  EXPECT_EQ(busy->receive_all(), "");
  stopper->stop();
}

TEST(HttpServer_Stop_GivesUpAfterTheGrace, AndLateRepliesAreDropped) {
  RestOptions options;
  options.stop_grace_ns = 10 * env::kMillisecond;
  TestServer s(options);
  s.cluster.hold();
  auto client = s.connect();
  client->send(get("/1/k") + get("/1/l"));
  s.cluster.wait_held(2);
  s.server().stop();
  EXPECT_EQ(client->receive_all(), "");
  // ~TestServer releases the replies after the server is gone from their exchanges.
}

TEST(HttpServer_ManyConnections_OverAllWorkers, AreAllServed) {
  TestServer s({}, 3);
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 60; ++i) clients.push_back(s.connect());
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 60; ++i)
      clients[static_cast<size_t>(i)]->send(put("k" + std::to_string(i), "v"));
    for (auto& client : clients) ASSERT_EQ(client->receive().status, 204);
  }
  EXPECT_EQ(s.cluster.calls().size(), 180U);
}

}  // namespace
}  // namespace multiraft::rest
