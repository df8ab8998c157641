#include "base/coverage.h"

#include <algorithm>
#include <map>

#include "base/mutex.h"

namespace multiraft {
namespace {
struct Registry {
  Mutex mutex;
  std::vector<CoverageMark*> marks MR_GUARDED_BY(mutex);
};
Registry& registry() {
  static Registry r;
  return r;
}
}  // namespace

CoverageMark::CoverageMark(const char* name) : name_(name) {
  Registry& r = registry();
  MutexLock lock(r.mutex);
  r.marks.push_back(this);
}

std::vector<CoverageMark::Count> CoverageMark::all() {
  std::map<std::string_view, uint64_t> sums;
  {
    Registry& r = registry();
    MutexLock lock(r.mutex);
    for (const CoverageMark* mark : r.marks) sums[mark->name()] += mark->hits();
  }
  std::vector<Count> counts;
  for (const auto& [name, hits] : sums) counts.push_back({name, hits});
  return counts;
}

uint64_t CoverageMark::hits_of(std::string_view name) {
  for (const Count& count : all()) {
    if (count.name == name) return count.hits;
  }
  return 0;
}

}  // namespace multiraft
