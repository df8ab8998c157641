#include "settings.h"

#include <array>

namespace multiraft::sim {
namespace {

constexpr std::array<std::string_view, kSchedules> kNames = {
    "swarm",      "figure8",           "aba",  "reconfiguration", "swizzle", "lagging",
    "read-pause", "crash-every-write", "lease"};

/// Log-uniform between 0.5 % and 30 %.
double rate(Prng& prng) {
  double r = 0.3;
  for (uint64_t halvings = prng.below(7); halvings > 0; --halvings) r /= 2;
  return r;
}

void draw_core(Prng& prng, Settings& s) {
  s.pre_vote = prng.chance(0.75);
  s.check_quorum = prng.chance(0.75);
  if (prng.chance(0.3)) s.message_bytes_max = 1;
  if (prng.chance(0.3)) s.committed_bytes_per_ready_max = 1;
  if (prng.chance(0.4)) s.inflight_messages_max = prng.between(1, 4);
  if (prng.chance(0.2)) s.inflight_bytes_max = prng.between(1, 8);
  if (prng.chance(0.2)) s.uncommitted_bytes_max = prng.between(1, 40);
  if (prng.chance(0.25)) s.step_down_on_removal = false;
  if (prng.chance(0.25)) s.commit_in_rejections = false;
}

void draw_faults(Prng& prng, Settings& s) {
  if (prng.chance(0.6)) s.drop = rate(prng);
  if (prng.chance(0.4)) s.duplicate = rate(prng);
  if (prng.chance(0.5)) s.reorder = rate(prng);
  if (prng.chance(0.5)) s.postpone_ready = rate(prng);
  if (prng.chance(0.5)) s.weight_crash = 1 + static_cast<uint32_t>(prng.below(3));
  if (prng.chance(0.5)) s.weight_partition = 1 + static_cast<uint32_t>(prng.below(3));
  if (prng.chance(0.4)) s.weight_compact = 2;
  if (prng.chance(0.4)) s.weight_conf_change = 2 + static_cast<uint32_t>(prng.below(4));
  if (prng.chance(0.3)) s.weight_transfer = 1;
  if (prng.chance(0.5)) s.weight_read = 4;
  if (prng.chance(0.3)) s.weight_campaign = 1;
  if (prng.chance(0.2)) s.weight_forget = 1;
}

}  // namespace

std::string_view schedule_name(Schedule schedule) { return kNames[static_cast<size_t>(schedule)]; }

std::optional<Schedule> schedule_by_name(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Schedule>(i);
  }
  return std::nullopt;
}

Schedule schedule_of_seed(uint64_t seed) {
  if (seed % 5 != 0) return Schedule::kSwarm;
  return static_cast<Schedule>(1 + (seed / 5) % (kSchedules - 1));
}

Settings Settings::of(uint64_t seed, Schedule schedule) {
  Prng prng(seed * 0x9e3779b97f4a7c15ULL + static_cast<uint64_t>(schedule));
  Settings s;
  s.seed = seed;
  s.schedule = schedule;
  s.nodes = static_cast<uint32_t>(prng.between(3, prng.chance(0.3) ? 7 : 5));
  s.voters = s.nodes;
  draw_core(prng, s);
  draw_faults(prng, s);
  if (s.weight_conf_change > 0) s.voters = static_cast<uint32_t>(prng.between(2, s.nodes));
  switch (schedule) {
    case Schedule::kSwarm:
    case Schedule::kFigure8:
    case Schedule::kAba:
    case Schedule::kSwizzle:
      break;
    case Schedule::kReconfiguration:
      s.weight_conf_change = 8;
      s.voters = static_cast<uint32_t>(prng.between(2, s.nodes));
      break;
    case Schedule::kLagging:
      s.weight_compact = 6;
      break;
    case Schedule::kReadPause:
      s.weight_read = 10;
      s.duplicate = 0.3;
      s.reorder = 0.3;
      break;
    case Schedule::kCrashEveryWrite:
      s.weight_crash = 12;
      break;
    case Schedule::kLease:
      s.leases = true;
      s.check_quorum = true;
      s.clocks = true;
      s.weight_read = 10;
      break;
  }
  return s;
}

}  // namespace multiraft::sim
