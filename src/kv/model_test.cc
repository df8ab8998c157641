// Random histories of two groups on both engines, in lock step with a model: a std::map a group and
// the log of everything that was applied.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <tuple>

#include "kv/testing/faulty_disk.h"
#include "kv/testing/snapshots.h"

namespace multiraft::kv {
namespace {

using testing::Contents;
using testing::EngineKind;

enum class Op : uint8_t {
  kPut,
  kDelete,
  kBadCommand,
  kNoOp,  ///< An entry without a command.
  kCommit,
  kSnapshot,  ///< Kept for a later restore.
  kRestore,   ///< The kept snapshot, taken by the other engine, into this group.
  kFlush,
  kReopen,
  kDestroy,
  kPowerLoss,
};

struct Step {
  Op op;
  uint8_t group;
  uint8_t key;
  uint8_t value;
};

std::ostream& operator<<(std::ostream& os, const Step& step) {
  return os << "{op " << int{static_cast<uint8_t>(step.op)} << " group " << int{step.group}
            << " key " << int{step.key} << " value " << int{step.value} << "}";
}

}  // namespace
}  // namespace multiraft::kv

namespace rc {
template <>
struct Arbitrary<multiraft::kv::Step> {
  static Gen<multiraft::kv::Step> arbitrary() {
    using multiraft::kv::Op;
    using multiraft::kv::Step;
    const auto op = gen::weightedElement<Op>({{20, Op::kPut},
                                              {8, Op::kDelete},
                                              {1, Op::kBadCommand},
                                              {1, Op::kNoOp},
                                              {8, Op::kCommit},
                                              {2, Op::kSnapshot},
                                              {2, Op::kRestore},
                                              {2, Op::kFlush},
                                              {1, Op::kReopen},
                                              {1, Op::kDestroy},
                                              {1, Op::kPowerLoss}});
    return gen::build<Step>(
        gen::set(&Step::op, op), gen::set(&Step::group, gen::inRange<uint8_t>(0, 2)),
        gen::set(&Step::key, gen::inRange<uint8_t>(0, 12)), gen::set(&Step::value));
  }
};
}  // namespace rc

namespace multiraft::kv {
namespace {

/// What a group has to be at each index that it has been at.
struct GroupModel {
  Contents contents;
  uint64_t index = 0;
  uint64_t durable = 0;                   ///< The best promise so far.
  std::map<uint64_t, Contents> at_index;  ///< States a crash may lead back to.
  std::map<uint64_t, SharedBytes> log;    ///< What follows them; empty payload: no command.
};

class World {
 public:
  World() {
    start();
    for (size_t group = 0; group < 2; ++group) models_[group].at_index[0] = {};
  }

  void run(const Step& step) {
    switch (step.op) {
      case Op::kPut:
        return apply(step.group, encode_put(key_of(step), value_of(step)));
      case Op::kDelete:
        return apply(step.group, encode_delete(key_of(step)));
      case Op::kBadCommand:
        return apply(step.group, SharedBytes::copy_of("\x01\x01?"));
      case Op::kNoOp:
        return apply(step.group, SharedBytes());
      case Op::kCommit:
        commit();
        return check();
      case Op::kSnapshot:
        return take_snapshots(step.group);
      case Op::kRestore:
        return restore(step.group);
      case Op::kFlush:
        commit();
        RC_ASSERT(rocks_->flush().is_ok());
        RC_ASSERT(machine(EngineKind::kRocks, step.group).durable_index().value ==
                  models_[step.group].index);
        return check();
      case Op::kReopen:
        return reopen();
      case Op::kDestroy:
        return destroy(step.group);
      case Op::kPowerLoss:
        return lose_power(step.value);
    }
  }

  /// All that can be asked agrees with the model.
  void check() {
    for (size_t group = 0; group < 2; ++group) {
      GroupModel& model = models_[group];
      for (const EngineKind kind : {EngineKind::kRocks, EngineKind::kMemory}) {
        KvStateMachine& of = machine(kind, group);
        RC_ASSERT(of.applied_index().value == model.index);
        RC_ASSERT(testing::contents_of(of) == model.contents);
        RC_ASSERT(backwards(of) == model.contents);
      }
      RC_ASSERT(testing::hash_of(machine(EngineKind::kRocks, group)) ==
                testing::hash_of(machine(EngineKind::kMemory, group)));
      const uint64_t durable = machine(EngineKind::kRocks, group).durable_index().value;
      RC_ASSERT(durable >= model.durable);
      RC_ASSERT(durable <= model.index);
      model.durable = durable;
    }
  }
  void commit() {
    RC_ASSERT(testing::commit(*rocks_).is_ok());
    RC_ASSERT(testing::commit(*memory_).is_ok());
  }

 private:
  static std::string key_of(const Step& step) {
    return std::string(1 + step.key % 3, static_cast<char>(0xf8 + step.key));
  }
  static std::string value_of(const Step& step) { return std::string(step.value, 'v'); }

  KvStateMachine& machine(EngineKind kind, size_t group) {
    return kind == EngineKind::kRocks ? *rocks_machines_[group] : *memory_machines_[group];
  }

  void start() {
    RocksOptions options = testing::small_rocks(dir_.path());
    options.env = disk_->env();
    auto engine = make_rocksdb_engine(options);
    RC_ASSERT(engine.is_ok());
    rocks_ = std::move(*engine);
    for (uint64_t group = 0; group < 2; ++group) {
      rocks_machines_[group] = testing::open_group(*rocks_, group);
      memory_machines_[group] = testing::open_group(*memory_, group);
    }
  }

  static Contents backwards(const KvStateMachine& of) {
    Contents contents;
    ScanRequest request;
    request.items_max = 5;
    request.reverse = true;
    std::string end;
    while (true) {
      request.end = end;
      auto page = of.scan(request);
      RC_ASSERT(page.is_ok());
      for (const KvItem& item : page->items) {
        contents[item.key] = {std::string(item.value.view()), item.modified_index.value};
      }
      if (!page->next) return contents;
      end = *page->next;
    }
  }

  static ResultCode apply_to_model(GroupModel& model, uint64_t index, std::string_view payload) {
    CommandView view;
    const ResultCode code = decode_command(payload, view);
    if (code != ResultCode::kApplied) return code;
    if (view.kind == CommandKind::kDelete) {
      return model.contents.erase(std::string(view.key)) == 1 ? ResultCode::kApplied
                                                              : ResultCode::kNotFound;
    }
    model.contents[std::string(view.key)] = {std::string(view.value), index};
    return code;
  }

  void apply(size_t group, const SharedBytes& payload) {
    GroupModel& model = models_[group];
    const uint64_t index = ++model.index;
    const ResultCode code = apply_to_model(model, index, payload);
    model.log[index] = payload;
    model.at_index[index] = model.contents;
    RC_ASSERT(apply_to(machine(EngineKind::kRocks, group), index, payload, code));
    RC_ASSERT(apply_to(machine(EngineKind::kMemory, group), index, payload, code));
  }
  static bool apply_to(KvStateMachine& to, uint64_t index, const SharedBytes& payload,
                       ResultCode code) {
    const Command command{LogIndex(index), Term(1), payload.view()};
    ApplyResult result{static_cast<uint64_t>(code), {}};
    const bool none = payload.empty();
    const Status status = to.apply({&command, none ? size_t{0} : size_t{1}}, LogIndex(index),
                                   Term(1), {&result, none ? size_t{0} : size_t{1}});
    return status.is_ok() && result.code == static_cast<uint64_t>(code);
  }

  void take_snapshots(size_t group) {
    commit();
    kept_rocks_ = testing::take_snapshot(machine(EngineKind::kRocks, group), 100);
    kept_memory_ = testing::take_snapshot(machine(EngineKind::kMemory, group), 100);
    RC_ASSERT(kept_rocks_.chunks == kept_memory_.chunks);
    kept_contents_ = models_[group].contents;
  }

  void restore(size_t group) {
    if (kept_rocks_.index == LogIndex(0)) return;
    RC_ASSERT(testing::restore(machine(EngineKind::kRocks, group), kept_memory_).is_ok());
    RC_ASSERT(testing::restore(machine(EngineKind::kMemory, group), kept_rocks_).is_ok());
    GroupModel& model = models_[group];
    model = {};
    model.contents = kept_contents_;
    model.index = kept_rocks_.index.value;
    model.durable = model.index;
    model.at_index[model.index] = model.contents;
    commit();
    check();
  }

  void reopen() {
    commit();
    for (auto& of : rocks_machines_) of.reset();
    rocks_.reset();
    catch_up_memory_after([this] { start(); });
    check();
  }

  void destroy(size_t group) {
    rocks_machines_[group].reset();
    memory_machines_[group].reset();
    RC_ASSERT(rocks_->commit(0).is_ok());
    RC_ASSERT(rocks_->destroy(GroupId(group)).is_ok());
    RC_ASSERT(memory_->destroy(GroupId(group)).is_ok());
    rocks_machines_[group] = testing::open_group(*rocks_, group);
    memory_machines_[group] = testing::open_group(*memory_, group);
    models_[group] = {};
    models_[group].at_index[0] = {};
    commit();
    check();
  }

  void lose_power(uint64_t keep_seed) {
    for (size_t group = 0; group < 2; ++group) {
      models_[group].durable = machine(EngineKind::kRocks, group).durable_index().value;
    }
    disk_->lose_power();
    for (auto& of : rocks_machines_) of.reset();
    rocks_.reset();
    disk_->cut_unsynced(keep_seed);
    disk_ = std::make_unique<testing::FaultyDisk>();
    catch_up_memory_after([this] { start(); });
    for (size_t group = 0; group < 2; ++group) {
      // Some state between what was durable and the last, complete; the log leads on from there.
      GroupModel& model = models_[group];
      KvStateMachine& of = machine(EngineKind::kRocks, group);
      const uint64_t index = of.applied_index().value;
      RC_ASSERT(index >= model.durable);
      RC_ASSERT(model.at_index.contains(index));
      RC_ASSERT(testing::contents_of(of) == model.at_index[index]);
      replay(of, model, index);
    }
    commit();
    check();
  }

  /// Memory forgets; like a host, the model saves a snapshot and restores it.
  template <class Restart>
  void catch_up_memory_after(Restart restart) {
    std::vector<testing::Snapshot> saved;
    for (auto& of : memory_machines_) {
      saved.push_back(testing::take_snapshot(*of));
      of.reset();
    }
    restart();
    for (size_t group = 0; group < 2; ++group) {
      RC_ASSERT(memory_machines_[group]->applied_index() == LogIndex(0));
      if (saved[group].index == LogIndex(0)) continue;
      RC_ASSERT(testing::restore(*memory_machines_[group], saved[group]).is_ok());
    }
  }
  static void replay(KvStateMachine& to, const GroupModel& model, uint64_t after) {
    for (auto it = model.log.upper_bound(after); it != model.log.end(); ++it) {
      const Command command{LogIndex(it->first), Term(1), it->second.view()};
      ApplyResult result;
      const size_t count = it->second.empty() ? 0 : 1;
      RC_ASSERT(
          to.apply({&command, count}, LogIndex(it->first), Term(1), {&result, count}).is_ok());
    }
  }

  testing::TempDir dir_;
  std::unique_ptr<testing::FaultyDisk> disk_ = std::make_unique<testing::FaultyDisk>();
  std::unique_ptr<KvEngine> rocks_;
  std::unique_ptr<KvEngine> memory_ = make_memory_engine();
  std::unique_ptr<KvStateMachine> rocks_machines_[2];
  std::unique_ptr<KvStateMachine> memory_machines_[2];
  GroupModel models_[2];
  testing::Snapshot kept_rocks_, kept_memory_;
  Contents kept_contents_;
};

RC_GTEST_PROP(KvModel, BothEngines_AnyHistory_AgreeWithTheModel, (std::vector<Step> steps)) {
  World world;
  for (const Step& step : steps) world.run(step);
  world.commit();
  world.check();
}

}  // namespace
}  // namespace multiraft::kv
