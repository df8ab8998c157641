#pragma once
// For tests: a client that sees bytes, and a service in memory that answers as the test says.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "env/env.h"
#include "rest/rest_server.h"
#include "service/service.h"

namespace multiraft::rest {

/// An answer as it came. Header names in lower case.
struct Answer {
  int status = 0;  ///< 0: the connection ended before a whole answer.
  std::multimap<std::string, std::string> headers;
  std::string body;

  /// The only value of a header; "(absent)" or "(several)".
  std::string header(const std::string& name) const;
};

/// A connection on which the test's thread sends and waits. No timeouts: a test that hangs is ended
/// by ctest.
class TestClient {
 public:
  TestClient(env::Environment& env, env::Executor& executor, uint16_t port);
  ~TestClient();

  /// False where the connection is broken.
  bool send(std::string_view bytes);
  /// Says that nothing more comes, and goes on listening.
  void end();
  /// The next answer. `to_head`: it has no body whatever its Content-Length says.
  Answer receive(bool to_head = false);
  /// What comes until the server closes.
  std::string receive_all();
  /// send() and receive().
  Answer exchange(std::string_view bytes, bool to_head = false);

 private:
  bool read_more();

  env::Executor& executor_;
  std::unique_ptr<env::Stream> stream_;
  std::vector<char> buffer_;
  std::string received_;
};

/// What all workers' backends of a test share. Set up before requests are sent. Groups are served
/// from memory where they are in `here`, are not here where they are in `elsewhere`, and else
/// unknown.
class FakeCluster {
 public:
  void add_group(uint64_t group);
  void add_elsewhere(uint64_t group, std::vector<service::MemberAddress> members);
  /// Every call is answered with it.
  void fail_with(std::optional<service::Error> error);
  void set_result_code(uint64_t code);
  /// What lists of groups have; 1 and 2 otherwise.
  void list_groups(std::set<uint64_t> groups);
  void set_ready(bool ready);
  /// Calls wait for release() from now on.
  void hold();
  /// Waits until `count` calls are held.
  void wait_held(size_t count);
  /// Answers those held now, the newest first if `backwards`, on their workers' threads; goes on
  /// holding later ones if `keep_holding`.
  void release(bool backwards = false, bool keep_holding = false);

  std::string value_of(uint64_t group, const std::string& key);
  /// "put 1 key value", "get 1 key linearizable", ... in the order of the calls.
  std::vector<std::string> calls();

 private:
  friend class FakeService;
  struct Value {
    SharedBytes bytes;
    LogIndex modified;
  };
  void run(env::Executor* executor, std::string call, Task answer);
  std::optional<service::Error> error_for(GroupId group) MR_REQUIRES(mutex_);

  Mutex mutex_;
  Condition changed_;
  std::map<std::pair<uint64_t, std::string>, Value> values_ MR_GUARDED_BY(mutex_);
  std::set<uint64_t> here_ MR_GUARDED_BY(mutex_);
  std::map<uint64_t, std::vector<service::MemberAddress>> elsewhere_ MR_GUARDED_BY(mutex_);
  std::optional<service::Error> error_ MR_GUARDED_BY(mutex_);
  uint64_t result_code_ MR_GUARDED_BY(mutex_) = 0;
  std::set<uint64_t> listed_ MR_GUARDED_BY(mutex_) = {1, 2};
  bool ready_ MR_GUARDED_BY(mutex_) = true;
  uint64_t index_ MR_GUARDED_BY(mutex_) = 10;
  bool holding_ MR_GUARDED_BY(mutex_) = false;
  std::vector<std::pair<env::Executor*, Task>> held_ MR_GUARDED_BY(mutex_);
  std::vector<std::string> calls_ MR_GUARDED_BY(mutex_);
};

class FakeService final : public service::Service {
 public:
  /// `asynchronous`: answers take the executor's queue; else they come from within the call.
  FakeService(FakeCluster& cluster, env::Executor& executor, bool asynchronous)
      : cluster_(cluster), executor_(asynchronous ? &executor : nullptr), worker_(executor) {}

  NodeId node() const override { return NodeId(7); }
  void set_budget(std::shared_ptr<MemoryBudget> budget) override { budget_ = std::move(budget); }
  void write(GroupId group, SharedBytes command,
             Callback<void(service::Reply<service::WriteAnswer>)> done) override;
  void read(GroupId group, std::string key, service::Consistency consistency,
            Callback<void(service::Reply<service::ReadAnswer>)> done) override;
  void list_groups(GroupId from, size_t limit,
                   Callback<void(service::Reply<service::GroupPage>)> done) override;
  void group_info(GroupId group, Callback<void(service::Reply<service::GroupInfo>)> done) override;
  void list_nodes(Callback<void(service::Reply<std::vector<service::NodeInfo>>)> done) override;
  void cluster_info(Callback<void(service::Reply<service::ClusterInfo>)> done) override;
  void create_group(GroupId group, std::vector<NodeId> nodes,
                    Callback<void(service::Reply<service::Done>)> done) override;
  void add_member(GroupId group, NodeId node, bool voter,
                  Callback<void(service::Reply<service::GroupInfo>)> done) override;
  void remove_member(GroupId group, NodeId node,
                     Callback<void(service::Reply<service::Done>)> done) override;
  std::vector<service::ReadinessCheck> readiness() override;
  void metrics(Callback<void(std::string)> done) override;

 private:
  template <class T, class Produce>
  void answer(GroupId group, std::string call, Callback<void(service::Reply<T>)> done,
              Produce produce);
  void check_thread() const;

  FakeCluster& cluster_;
  env::Executor* const executor_;
  env::Executor& worker_;
  std::shared_ptr<MemoryBudget> budget_;
};

/// A server with its workers and a client's thread.
class TestServer {
 public:
  explicit TestServer(RestOptions options = {}, size_t workers = 2, bool asynchronous = true);
  ~TestServer();

  FakeCluster cluster;
  RestServer& server() { return *server_; }
  env::Environment& env() { return *env_; }
  std::unique_ptr<TestClient> connect();
  /// One request on a connection of its own, with Host and Connection: close. `headers` are lines.
  Answer request(std::string_view method, std::string_view target, std::string_view body = "",
                 std::string_view headers = "");

 private:
  const std::unique_ptr<env::Environment> env_;
  std::unique_ptr<env::Executor> client_executor_;
  std::vector<std::unique_ptr<env::Executor>> executors_;
  std::vector<std::unique_ptr<FakeService>> services_;
  std::unique_ptr<RestServer> server_;
};

}  // namespace multiraft::rest
