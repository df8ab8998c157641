#include "rest/testing/fake_service.h"

#include <algorithm>
#include <cctype>
#include <future>

#include "base/assert.h"
#include "env/posix/posix_env.h"
#include "kv/command.h"

namespace multiraft::rest {
namespace {

constexpr int64_t kLong = 600 * env::kSecond;

/// Runs `body` on the executor and waits for it.
template <class Body>
void on_executor(env::Executor& executor, Body body) {
  std::promise<void> done;
  executor.post([&] {
    body();
    done.set_value();
  });
  done.get_future().wait();
}

const char* name_of(service::Consistency consistency) {
  switch (consistency) {
    case service::Consistency::kLinearizable:
      return "linearizable";
    case service::Consistency::kLease:
      return "lease";
    case service::Consistency::kLocal:
      return "local";
  }
  return "?";
}

service::MemberInfo member(uint64_t id, bool voter, bool leader) {
  service::MemberInfo info;
  info.id = NodeId(id);
  info.replica = (id << 32) | 1;
  info.raft_address = ":808" + std::to_string(id);
  info.api_address = ":909" + std::to_string(id);
  info.voter = voter;
  info.leader = leader;
  if (id == 1) {
    info.match = 9;
    info.active = true;
    info.progress = "replicate";
  }
  return info;
}

service::GroupInfo describe(uint64_t id) {
  service::GroupInfo group;
  group.id = GroupId(id);
  group.hosted = true;
  group.role = "leader";
  group.leader = NodeId(7);
  group.term = Term(3);
  group.commit = group.applied = group.last = LogIndex(9);
  group.first = LogIndex(1);
  group.members = {member(1, true, false), member(2, false, false), member(7, true, true)};
  return group;
}

}  // namespace

std::string Answer::header(const std::string& name) const {
  if (headers.count(name) > 1) return "(several)";
  const auto it = headers.find(name);
  return it == headers.end() ? "(absent)" : it->second;
}

TestClient::TestClient(env::Environment& env, env::Executor& executor, uint16_t port)
    : executor_(executor), buffer_(256 * 1024) {
  std::promise<Result<std::unique_ptr<env::Stream>>> connected;
  executor_.post([&] {
    env.network().connect(executor_, {"127.0.0.1", port}, kLong,
                          [&](auto stream) { connected.set_value(std::move(stream)); });
  });
  auto stream = connected.get_future().get();
  MR_ASSERT(stream.is_ok());
  stream_ = std::move(*stream);
}

TestClient::~TestClient() {
  on_executor(executor_, [this] { stream_.reset(); });
}

bool TestClient::send(std::string_view bytes) {
  std::promise<Status> written;
  executor_.post([&] {
    stream_->write({&bytes, 1}, [&](Status status) { written.set_value(std::move(status)); });
  });
  return written.get_future().get().is_ok();
}

void TestClient::end() {
  on_executor(executor_, [this] { stream_->shutdown_write(); });
}

bool TestClient::read_more() {
  std::promise<Result<size_t>> read;
  executor_.post([&] {
    stream_->read_some(buffer_, [&](Result<size_t> n) { read.set_value(std::move(n)); });
  });
  const Result<size_t> n = read.get_future().get();
  if (!n || *n == 0) return false;
  received_.append(buffer_.data(), *n);
  return true;
}

Answer TestClient::receive(bool to_head) {
  size_t end = 0;
  while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
    if (!read_more()) return {};
  }
  Answer answer;
  answer.status = std::stoi(received_.substr(9, 3));
  size_t line = received_.find("\r\n") + 2;
  while (line < end + 2) {
    const size_t next = received_.find("\r\n", line);
    const size_t colon = received_.find(": ", line);
    std::string name = received_.substr(line, colon - line);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    answer.headers.emplace(std::move(name), received_.substr(colon + 2, next - colon - 2));
    line = next + 2;
  }
  received_.erase(0, end + 4);
  const auto length = answer.headers.find("content-length");
  if (to_head || length == answer.headers.end()) return answer;
  const size_t bytes = std::stoul(length->second);
  while (received_.size() < bytes) {
    if (!read_more()) return {};
  }
  answer.body = received_.substr(0, bytes);
  received_.erase(0, bytes);
  return answer;
}

std::string TestClient::receive_all() {
  while (read_more()) {
  }
  return std::exchange(received_, {});
}

Answer TestClient::exchange(std::string_view bytes, bool to_head) {
  send(bytes);
  return receive(to_head);
}

void FakeCluster::add_group(uint64_t group) {
  MutexLock lock(mutex_);
  here_.insert(group);
}

void FakeCluster::add_elsewhere(uint64_t group, std::vector<service::MemberAddress> members) {
  MutexLock lock(mutex_);
  elsewhere_[group] = std::move(members);
}

void FakeCluster::fail_with(std::optional<service::Error> error) {
  MutexLock lock(mutex_);
  error_ = std::move(error);
}

void FakeCluster::set_result_code(uint64_t code) {
  MutexLock lock(mutex_);
  result_code_ = code;
}

void FakeCluster::set_ready(bool ready) {
  MutexLock lock(mutex_);
  ready_ = ready;
}

void FakeCluster::hold() {
  MutexLock lock(mutex_);
  holding_ = true;
}

void FakeCluster::wait_held(size_t count) {
  MutexLock lock(mutex_);
  while (held_.size() < count) changed_.wait(mutex_);
}

void FakeCluster::release(bool backwards, bool keep_holding) {
  std::vector<std::pair<env::Executor*, Task>> released;
  {
    MutexLock lock(mutex_);
    released.swap(held_);
    holding_ = keep_holding;
  }
  if (backwards) std::reverse(released.begin(), released.end());
  for (auto& [executor, answer] : released) executor->post(std::move(answer));
}

std::string FakeCluster::value_of(uint64_t group, const std::string& key) {
  MutexLock lock(mutex_);
  const auto it = values_.find({group, key});
  return it == values_.end() ? "(absent)" : std::string(it->second.bytes.view());
}

std::vector<std::string> FakeCluster::calls() {
  MutexLock lock(mutex_);
  return calls_;
}

/// `executor` is where a late answer comes; null: it comes at once unless calls are held.
void FakeCluster::run(env::Executor* executor, std::string call, Task answer) {
  {
    MutexLock lock(mutex_);
    calls_.push_back(std::move(call));
    if (holding_) {
      held_.emplace_back(executor, std::move(answer));
      changed_.notify_one();
      return;
    }
  }
  if (executor != nullptr) {
    executor->post(std::move(answer));
  } else {
    answer();
  }
}

void FakeCluster::list_groups(std::set<uint64_t> groups) {
  MutexLock lock(mutex_);
  listed_ = std::move(groups);
}

std::optional<service::Error> FakeCluster::error_for(GroupId group) {
  if (error_) return error_;
  if (here_.contains(group.value)) return std::nullopt;
  const auto it = elsewhere_.find(group.value);
  if (it != elsewhere_.end()) return service::Error{StatusCode::kWrongNode, "not here", it->second};
  return service::Error{StatusCode::kNoSuchGroup, "nobody knows it", {}};
}

void FakeService::check_thread() const { MR_ASSERT(worker_.in_executor()); }

template <class T, class Produce>
void FakeService::answer(GroupId group, std::string call, Callback<void(service::Reply<T>)> done,
                         Produce produce) {
  check_thread();
  cluster_.run(executor_, std::move(call),
               [this, group, done = std::move(done), produce = std::move(produce)]() mutable {
                 service::Reply<T> reply;
                 {
                   MutexLock lock(cluster_.mutex_);
                   if (std::optional<service::Error> error = cluster_.error_for(group)) {
                     reply.result = std::move(*error);
                   } else {
                     reply.result = produce(cluster_);
                   }
                   reply.position = {Term(3), LogIndex(cluster_.index_), NodeId(7)};
                 }
                 done(std::move(reply));
               });
}

void FakeService::write(GroupId group, SharedBytes command,
                        Callback<void(service::Reply<service::WriteAnswer>)> done) {
  kv::CommandView view;
  MR_ASSERT(kv::decode_command(command, view) == kv::ResultCode::kApplied);
  const bool put = view.kind == kv::CommandKind::kPut;
  std::string call = (put ? "put " : "delete ") + to_string(group) + " " + std::string(view.key);
  answer<service::WriteAnswer>(group, std::move(call), std::move(done),
                               [command, view, put, group](FakeCluster& c) MR_REQUIRES(c.mutex_) {
                                 const LogIndex index(++c.index_);
                                 const std::pair key(group.value, std::string(view.key));
                                 if (put) {
                                   c.values_[key] = {SharedBytes::copy_of(view.value), index};
                                 } else {
                                   c.values_.erase(key);
                                 }
                                 return service::WriteAnswer{c.result_code_, index};
                               });
}

void FakeService::read(GroupId group, std::string key, service::Consistency consistency,
                       Callback<void(service::Reply<service::ReadAnswer>)> done) {
  std::string call = "get " + to_string(group) + " " + key + " " + name_of(consistency);
  answer<service::ReadAnswer>(
      group, std::move(call), std::move(done), [group, key](FakeCluster& c) MR_REQUIRES(c.mutex_) {
        const auto it = c.values_.find({group.value, key});
        if (it == c.values_.end()) return service::ReadAnswer{};
        return service::ReadAnswer{it->second.bytes, it->second.modified, nullptr};
      });
}

void FakeService::list_groups(GroupId from, size_t limit,
                              Callback<void(service::Reply<service::GroupPage>)> done) {
  std::string call = "groups " + to_string(from) + " " + std::to_string(limit);
  answer<service::GroupPage>(GroupId(1), std::move(call), std::move(done),
                             [from, limit](FakeCluster& c) MR_REQUIRES(c.mutex_) {
                               service::GroupPage page;
                               for (const uint64_t id : c.listed_) {
                                 if (id < from.value) continue;
                                 page.more = page.groups.size() == limit;
                                 if (page.more) break;
                                 service::GroupInfo group = describe(id);
                                 group.id = GroupId(id);
                                 group.hosted = id == 1;
                                 page.groups.push_back(std::move(group));
                               }
                               return page;
                             });
}

void FakeService::group_info(GroupId group,
                             Callback<void(service::Reply<service::GroupInfo>)> done) {
  answer<service::GroupInfo>(group, "group " + to_string(group), std::move(done),
                             [group](FakeCluster&) { return describe(group.value); });
}

void FakeService::list_nodes(Callback<void(service::Reply<std::vector<service::NodeInfo>>)> done) {
  answer<std::vector<service::NodeInfo>>(GroupId(1), "nodes", std::move(done), [](FakeCluster&) {
    return std::vector<service::NodeInfo>{
        {NodeId(7), ":8087", ":9097", "member", true, {GroupId(1)}}};
  });
}

void FakeService::cluster_info(Callback<void(service::Reply<service::ClusterInfo>)> done) {
  answer<service::ClusterInfo>(GroupId(1), "cluster", std::move(done), [](FakeCluster&) {
    return service::ClusterInfo{ClusterId(77), NodeId(7), "0.1.0", {1, 2}, 1, 3, 5, NodeId(2)};
  });
}

void FakeService::create_group(GroupId group, std::vector<NodeId> nodes,
                               Callback<void(service::Reply<service::Done>)> done) {
  std::string call = "create " + to_string(group);
  for (const NodeId node : nodes) call += " " + to_string(node);
  answer<service::Done>(GroupId(1), std::move(call), std::move(done),
                        [](FakeCluster&) { return service::Done{}; });
}

void FakeService::add_member(GroupId group, NodeId node, bool voter,
                             Callback<void(service::Reply<service::GroupInfo>)> done) {
  answer<service::GroupInfo>(
      group, "add " + to_string(group) + " " + to_string(node) + (voter ? " voter" : " learner"),
      std::move(done), [group](FakeCluster&) { return describe(group.value); });
}

void FakeService::remove_member(GroupId group, NodeId node,
                                Callback<void(service::Reply<service::Done>)> done) {
  answer<service::Done>(group, "remove " + to_string(group) + " " + to_string(node),
                        std::move(done), [](FakeCluster&) { return service::Done{}; });
}

std::vector<service::ReadinessCheck> FakeService::readiness() {
  check_thread();
  MutexLock lock(cluster_.mutex_);
  return {{"recovered", true, ""}, {"registry", cluster_.ready_, "3 nodes"}};
}

void FakeService::metrics(Callback<void(std::string)> done) {
  check_thread();
  done("# TYPE fake gauge\nfake 1\n");
}

TestServer::TestServer(RestOptions options, size_t workers, bool asynchronous)
    : env_(env::make_posix_environment()), client_executor_(env_->start_executor("client")) {
  cluster.add_group(1);
  options.listen = {"127.0.0.1", 0};
  std::vector<env::Executor*> executors;
  std::vector<service::Service*> services;
  for (size_t i = 0; i < workers; ++i) {
    executors_.push_back(env_->start_executor("worker"));
    services_.push_back(std::make_unique<FakeService>(cluster, *executors_.back(), asynchronous));
    executors.push_back(executors_.back().get());
    services.push_back(services_.back().get());
  }
  auto server = RestServer::start(options, *env_, executors, services);
  MR_ASSERT_MSG(server.is_ok(), server.status().message().c_str());
  server_ = std::move(*server);
}

TestServer::~TestServer() {
  cluster.release();
  server_.reset();
  for (auto& executor : executors_) executor->stop();
  client_executor_->stop();
}

std::unique_ptr<TestClient> TestServer::connect() {
  return std::make_unique<TestClient>(*env_, *client_executor_, server_->port());
}

Answer TestServer::request(std::string_view method, std::string_view target, std::string_view body,
                           std::string_view headers) {
  std::string text;
  text.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: localhost:1\r\n");
  text.append("Connection: close\r\n").append(headers);
  if (!body.empty()) text.append("Content-Length: ").append(std::to_string(body.size())) += "\r\n";
  text.append("\r\n").append(body);
  return connect()->exchange(text, method == "HEAD");
}

}  // namespace multiraft::rest
