#include "server/options.h"

#include <absl/flags/reflection.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <vector>

#include "env/sim/sim_file_system.h"

namespace multiraft::server {
namespace {

class Options : public ::testing::Test {
 protected:
  /// Flags keep their values from test to test.
  void SetUp() override {
    for (const auto& [name, flag] : absl::GetAllFlags()) {
      std::string error;
      ASSERT_TRUE(flag->ParseFrom(flag->DefaultValue(), &error)) << error;
    }
  }
  Result<CommandLine> parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "multiraft");
    return parse_command_line(static_cast<int>(arguments.size()), arguments.data(), files_);
  }
  std::string refusal(std::vector<const char*> arguments) {
    auto line = parse(std::move(arguments));
    if (line) return "";
    EXPECT_EQ(line.status().code(), StatusCode::kInvalidArgument);
    return line.status().message();
  }

  env::SimFileSystem files_;
};

TEST_F(Options, EveryWayToWriteAFlag_MeansTheSame) {
  auto line = parse({"-state_dir=/x/", "--id", "7", "-raft", ":1", "--api=h:2", "-redirect=false"});
  ASSERT_TRUE(line) << line.status().message();
  EXPECT_EQ(line->action, CommandLine::Action::kServe);
  EXPECT_EQ(line->options.state_dir, "/x");
  EXPECT_EQ(line->options.id, NodeId(7));
  EXPECT_EQ(line->options.advertise_raft.to_string(), line->options.raft.to_string());
  EXPECT_EQ(line->options.api.to_string(), "h:2");
  EXPECT_FALSE(line->options.redirect);
}

TEST_F(Options, File_FillsInWhatTheCommandLineLeaves) {
  ASSERT_TRUE(files_.write_file_atomically(
      "c", "# comment\r\n\r\n  id = 3 \nworkers=2\nstate_dir = /from file\n"));
  auto line = parse({"-config=c", "-id=9"});
  ASSERT_TRUE(line) << line.status().message();
  EXPECT_EQ(line->options.id, NodeId(9));
  EXPECT_EQ(line->options.workers, 2u);
  EXPECT_EQ(line->options.state_dir, "/from file");
}

TEST_F(Options, FileThatIsWrong_IsRefusedWithItsLine) {
  for (const char* content : {"id = 1\nnonsense\n", "id = 1\nname = 2\n", "id = 1\nconfig = d\n",
                              "id = 1\nworkers = many\n"}) {
    SetUp();
    ASSERT_TRUE(files_.write_file_atomically("c", content));
    EXPECT_NE(refusal({"-config=c"}).find("c:2"), std::string::npos) << content;
  }
  SetUp();
  EXPECT_NE(refusal({"-config=missing"}).find("missing"), std::string::npos);
}

TEST_F(Options, ValuesBeyondTheirLimits_AreRefused) {
  const std::vector<const char*> bad[] = {{"-id=0"},
                                          {"-id=4294967295"},
                                          {"-initial_group_id=0"},
                                          {"-workers=65"},
                                          {"-heartbeat_ms=0"},
                                          {"-election_ms=150"},
                                          {"-election_ms=100"},
                                          {"-engine=none"},
                                          {"-raft=nonsense"},
                                          {"-log_segment_mb=8"},
                                          {"-log_segment_mb=1025"},
                                          {"-read=maybe"},
                                          {"-id=-1"},
                                          {"-snapshot_mb_per_s=many"},
                                          {"-cache_mb=7"},
                                          {"-log_writer=pen"},
                                          {"-join=x:y:"},
                                          {"-state_dir="},
                                          {"positional"},
                                          {"-nonsense=1"},
                                          {"-"}};
  for (std::vector<const char*> arguments : bad) {
    SetUp();
    const char* last = arguments.back();
    arguments.insert(arguments.begin(), {"-state_dir=/x", "-id=1"});
    EXPECT_NE(refusal(arguments), "") << last;
  }
}

/// Sets a variable for one test.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* const name_;
};

TEST_F(Options, Environment_IsReadButNotForQuestionsOfTheCommandLine) {
  const Variable version("MULTIRAFT_VERSION", "0.1.0");
  const Variable help("MULTIRAFT_HELP", "https://example.org");
  const Variable check("MULTIRAFT_CHECK_CONFIG", "true");
  const Variable workers("MULTIRAFT_WORKERS", "3");
  auto line = parse({"-state_dir=/x", "-id=7"});
  ASSERT_TRUE(line) << line.status().message();
  EXPECT_EQ(line->action, CommandLine::Action::kServe);
  EXPECT_EQ(line->options.workers, 3u);
}

TEST_F(Options, EmptyVariable_IsNotSet) {
  const Variable workers("MULTIRAFT_WORKERS", "");
  const Variable redirect("MULTIRAFT_REDIRECT", "");
  const Variable engine("MULTIRAFT_ENGINE", "");
  auto line = parse({"-state_dir=/x", "-id=7"});
  ASSERT_TRUE(line) << line.status().message();
  EXPECT_TRUE(line->options.redirect);
}

TEST_F(Options, MistypedVariable_IsNamed) {
  const Variable mistyped("MULTIRAFT_WORKER", "3");
  auto line = parse({"-state_dir=/x", "-id=7"});
  ASSERT_TRUE(line) << line.status().message();
  EXPECT_THAT(line->unknown_variables, testing::Contains("MULTIRAFT_WORKER"));
  EXPECT_THAT(line->unknown_variables, testing::Not(testing::Contains("MULTIRAFT_WORKERS")));
}

}  // namespace
}  // namespace multiraft::server
