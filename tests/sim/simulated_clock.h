// The one clock, the one source of chance and the trace of a simulation. Events happen in the order
// of their time, those of one moment in the order in which they were asked for.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>

namespace troupe::tests {

// What the simulated parts may not do was done.
struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void require(bool holds, const std::string& what) {
  if (!holds) throw Violation(what);
}

inline uint64_t mix(uint64_t hash, uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15 + (hash << 6) + (hash >> 2);
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  return hash ^ (hash >> 31);
}

inline uint64_t bits_of(double value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

class SimulatedClock {
 public:
  SimulatedClock(uint64_t seed, bool prints) : prints_(prints), random_(seed) {}

  double now() const { return now_; }
  void after(double delay, std::function<void()> event) { at(now_ + delay, std::move(event)); }
  void at(double time, std::function<void()> event) {
    events_.emplace(std::pair(time, next_++), std::move(event));
  }

  // The next event; false when there is none.
  bool step() {
    if (events_.empty()) return false;
    auto first = events_.extract(events_.begin());
    now_ = first.key().first;
    first.mapped()();
    return true;
  }

  // The distributions of the standard library differ between its implementations.
  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(random_() >> 11) * 0x1p-53;
  }
  bool chance(double share) { return uniform(0, 1) < share; }
  size_t below(size_t end) { return static_cast<size_t>(random_() % end); }

  void trace(const char* what, uint64_t a = 0, uint64_t b = 0) {
    digest_ = mix(mix(mix(digest_, bits_of(now_)), a), b);
    for (const char* c = what; *c != '\0'; ++c) digest_ = digest_ * 31 + static_cast<uint8_t>(*c);
    if (prints_) {
      std::printf("%9.3f  %-20s %llu %llu\n", now_, what, static_cast<unsigned long long>(a),
                  static_cast<unsigned long long>(b));
    }
  }
  void note(const std::string& line) {
    if (prints_) std::printf("%9.3f  # %s\n", now_, line.c_str());
  }
  uint64_t digest() const { return digest_; }

 private:
  const bool prints_;
  std::mt19937_64 random_;
  double now_ = 0;
  uint64_t next_ = 0;
  uint64_t digest_ = 0;
  std::map<std::pair<double, uint64_t>, std::function<void()>> events_{};
};

}  // namespace troupe::tests
