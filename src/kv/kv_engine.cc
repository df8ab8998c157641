#include "kv/kv_engine.h"

namespace multiraft::kv {

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) ++end.back();
  return end;
}

Result<std::unique_ptr<StateMachine>> KvEngine::open(GroupId group) {
  Result<std::unique_ptr<KvStateMachine>> machine = open_kv(group);
  if (!machine) return machine.status();
  return std::unique_ptr<StateMachine>(std::move(*machine));
}

}  // namespace multiraft::kv
