#pragma once
// A small seeded generator (xoshiro256**, seeded by splitmix64; Blackman and Vigna 2018). Every
// random choice of the project comes from an instance that somebody passed in: there is no global.

#include <cstdint>

namespace multiraft {

class Prng {
 public:
  explicit Prng(uint64_t seed = 0) {
    for (uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15ULL;
      uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
      word = z ^ (z >> 31);
    }
  }

  uint64_t next() {
    const uint64_t result = rotl(state_[1] * 5, 7) * 9;
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotl(state_[3], 45);
    return result;
  }
  /// Uniform in [0, bound); bound > 0. The modulo bias of a 64-bit draw is below 2^-32 for the
  /// bounds in use.
  uint64_t below(uint64_t bound) { return next() % bound; }
  /// Uniform in [low, high]; low <= high.
  uint64_t between(uint64_t low, uint64_t high) {
    // The whole range of 64 bits has no bound that a number could express.
    return high - low == UINT64_MAX ? next() : low + below(high - low + 1);
  }
  /// True with probability p.
  bool chance(double p) { return static_cast<double>(next() >> 11) * 0x1.0p-53 < p; }
  /// An independent stream, for one concern each.
  Prng fork() { return Prng(next()); }

 private:
  static uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  uint64_t state_[4];
};

}  // namespace multiraft
