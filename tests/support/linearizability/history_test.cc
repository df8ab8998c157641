#include "linearizability/history.h"

#include <gtest/gtest.h>

#include <string>

namespace multiraft::linearizability {
namespace {

History parse_or_die(std::string_view text) {
  auto history = parse_history(text);
  EXPECT_TRUE(history.is_ok()) << history.status().to_string();
  return history ? *history : History{};
}

std::string parse_error(std::string_view text) {
  const auto history = parse_history(text);
  EXPECT_FALSE(history.is_ok());
  return history.status().message();
}

TEST(ParseHistory_EmptyText, HasNoOperations) {
  EXPECT_TRUE(parse_or_die(" \n\n").operations.empty());
}

TEST(ParseHistory_JepsenLog, PairsEventsByProcess) {
  const History history = parse_or_die(
      "INFO  jepsen.util - 0\t:invoke\t:read\tnil\n"
      "INFO  jepsen.util - 1\t:invoke\t:write\t4\n"
      "INFO  jepsen.util - :nemesis\t:info\t:start\tnil\n"
      "INFO  jepsen.util - 1\t:ok\t:write\t4\n"
      "INFO  jepsen.util - 0\t:ok\t:read\t4\n");
  ASSERT_EQ(history.operations.size(), 2U);
  EXPECT_EQ(history.operations[0].to_string(), "process 0: get \"\" = \"4\" [1, 5] ok");
  EXPECT_EQ(history.operations[1].to_string(), "process 1: put \"\" = \"4\" [2, 4] ok");
  EXPECT_FALSE(history.initial.has_value());
}

TEST(ParseHistory_JepsenCompletions, TellFailedFromUnknown) {
  const History history = parse_or_die(
      "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\n"
      "INFO  jepsen.util - 0\t:fail\t:cas\t[1 2]\n"
      "INFO  jepsen.util - 1\t:invoke\t:read\tnil\n"
      "INFO  jepsen.util - 1\t:fail\t:read\t:timed-out\n"
      "INFO  jepsen.util - 2\t:invoke\t:write\t3\n"
      "INFO  jepsen.util - 2\t:info\t:write\t:timed-out\n"
      "INFO  jepsen.util - 3\t:invoke\t:write\t3\n");
  ASSERT_EQ(history.operations.size(), 4U);
  EXPECT_EQ(history.operations[0].outcome, Outcome::kOk);
  EXPECT_FALSE(history.operations[0].swapped);
  EXPECT_EQ(history.operations[0].expected, "1");
  EXPECT_EQ(history.operations[0].value, "2");
  EXPECT_EQ(history.operations[1].outcome, Outcome::kFail);
  EXPECT_EQ(history.operations[2].outcome, Outcome::kUnknown);
  EXPECT_EQ(history.operations[3].outcome, Outcome::kUnknown);
}

TEST(ParseHistory_EdnLines, KeepKeysAndQuotedText) {
  const History history =
      parse_or_die(R"({:process 9, :type :invoke, :f :append, :key "0", :value "x, \"9\" y"})"
                   "\n"
                   R"({:process 4, :type :invoke, :f :get, :key "1", :value nil})"
                   "\n"
                   R"({:process 9, :type :ok, :f :append, :key "0", :value "x, \"9\" y"})"
                   "\n"
                   R"({:process 4, :type :ok, :f :get, :key "1", :value ""})"
                   "\n");
  ASSERT_EQ(history.operations.size(), 2U);
  EXPECT_EQ(history.operations[0].kind, OpKind::kAppend);
  EXPECT_EQ(history.operations[0].value, "x, \"9\" y");
  EXPECT_EQ(history.operations[1].key, "1");
  EXPECT_EQ(history.operations[1].value, "");
  EXPECT_EQ(history.initial, "");
}

TEST(ParseHistory_JsonLines, ReadEveryOperation) {
  const History history = parse_or_die(
      R"({"process":1,"op":"put","key":"k","value":"v","call":1,"return":2,"outcome":"ok"})"
      "\n"
      R"({"process":2,"op":"get","key":"k","value":null,"call":3,"return":4,"outcome":"ok"})"
      "\n"
      R"({"process":3,"op":"delete","key":"k","call":5,"return":6,"outcome":"fail"})"
      "\n"
      R"({"process":4,"op":"cas","key":"k","expected":null,"value":"w","swapped":false,)"
      R"("call":7,"return":8,"outcome":"ok"})"
      "\n"
      R"({"process":5,"op":"append","key":"k","value":"z","call":9,"outcome":"unknown"})"
      "\n"
      R"({"process":6,"op":"get","key":"k","call":9,"return":null,"outcome":"unknown"})"
      "\n");
  ASSERT_EQ(history.operations.size(), 6U);
  EXPECT_EQ(history.operations[0].to_string(), "process 1: put \"k\" = \"v\" [1, 2] ok");
  EXPECT_EQ(history.operations[1].to_string(), "process 2: get \"k\" = absent [3, 4] ok");
  EXPECT_EQ(history.operations[2].to_string(), "process 3: delete \"k\" [5, 6] fail");
  EXPECT_EQ(history.operations[3].to_string(),
            "process 4: cas \"k\" from absent = \"w\" (another content was found) [7, 8] ok");
  EXPECT_EQ(history.operations[4].to_string(), "process 5: append \"k\" = \"z\" [9, ?] unknown");
  EXPECT_EQ(history.operations[5].outcome, Outcome::kUnknown);
}

TEST(ToJsonLine_EveryKindOfOperation, ParsesBackEqual) {
  for (const OpKind kind : {OpKind::kRead, OpKind::kWrite, OpKind::kCas, OpKind::kAppend}) {
    for (const Outcome outcome : {Outcome::kOk, Outcome::kFail, Outcome::kUnknown}) {
      Operation op;
      op.process = 7;
      op.kind = kind;
      op.key = "a key";
      op.value = "a \"value\"\n";
      op.expected = "old";
      op.call_ns = 5;
      op.return_ns = 9;
      op.outcome = outcome;
      const History history = parse_or_die(to_json_line(op));
      ASSERT_EQ(history.operations.size(), 1U);
      if (kind == OpKind::kRead && outcome != Outcome::kOk) op.value.reset();
      EXPECT_EQ(history.operations[0].to_string(), op.to_string());
    }
  }
}

TEST(ParseHistory_MalformedText, NamesTheLine) {
  constexpr std::string_view kGood =
      R"({"process":1,"op":"put","key":"k","value":"v","call":1,"return":2,"outcome":"ok"})";
  const auto second_line = [&](std::string_view line) {
    return parse_error(std::string(kGood) + "\n" + std::string(line));
  };
  EXPECT_EQ(second_line("{"), "line 2: not a JSON object");
  EXPECT_EQ(second_line(R"({"process":1,"op":"put"})"), "line 2: \"key\" must be a string");
  EXPECT_EQ(second_line(R"({"process":1,"op":"swap","key":"k","call":1,"outcome":"unknown"})"),
            "line 2: \"op\" must be \"get\", \"put\", \"delete\", \"cas\" or \"append\"");
  EXPECT_EQ(second_line(R"({"process":1,"op":"put","key":"k","value":null,"call":1,"return":2,)"
                        R"("outcome":"ok"})"),
            "line 2: \"value\" must be a string");
  EXPECT_EQ(second_line(R"({"process":1,"op":"delete","key":"k","call":5,"return":2,)"
                        R"("outcome":"ok"})"),
            "line 2: returns before its call");
  EXPECT_EQ(parse_error("INFO  jepsen.util - 0\t:ok\t:read\t4\n"),
            "line 1: completion without an invocation");
  EXPECT_EQ(parse_error("INFO  jepsen.util - 0\t:invoke\t:read\tnil\n"
                        "INFO  jepsen.util - 0\t:invoke\t:read\tnil\n"),
            "line 2: the process already has an open operation");
  EXPECT_EQ(parse_error("{:process 1, :type :ok, :f :get, :key \"1}"),
            "line 1: a string does not end");
  EXPECT_EQ(parse_error("not a history"), "no operations in any known format");
}

}  // namespace
}  // namespace multiraft::linearizability
