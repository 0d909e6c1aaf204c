// A million mutated pairs, and what they cost. Time is reported and not asserted: the limit is
// fuel.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "actors/verifier/math/fuel.h"
#include "actors/verifier/math/math_verdict.h"
#include "tests/fuzz/math_corpus.h"
#include "tests/fuzz/mutations.h"
#include "tests/fuzz/targets.h"

namespace troupe::fuzz {
namespace {

size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// Processor time: what other programs do meanwhile is not the verifier's.
double thread_us() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

struct Cost {
  float us = 0;
  uint64_t fuel = 0;
};

Cost cost_of(std::string_view input) {
  const size_t tab = input.find('\t');
  const std::string_view gold = input.substr(0, tab);
  const std::string_view candidate = tab == input.npos ? gold : input.substr(tab + 1);
  const double start = thread_us();
  const actors::MathVerdict verdict = actors::verify_math_answer(candidate, gold);
  return {static_cast<float>(thread_us() - start), verdict.fuel_spent};
}

TEST_CASE("math fuzz: a million mutated pairs stay within fuel and memory") {
  constexpr size_t kCount = 1'000'000;
  constexpr size_t kBytesMax = 9000;
  constexpr size_t kMemoryGrowthMax = 64u << 20;
  const char* asked = std::getenv("TROUPE_FUZZ_COUNT");
  const size_t count = asked ? std::strtoul(asked, nullptr, 10) : kCount;
  Mutations mutations(math_corpus(), math_dictionary(), 3);
  std::vector<float> us;
  us.reserve(count);
  const size_t before = resident_bytes();
  size_t largest = before;
  float slowest_us = 0;
  uint64_t fuel_max = 0;
  std::string slowest;
  for (size_t i = 0; i < count; ++i) {
    const std::string input = mutations.next(kBytesMax);
    math_verdict::fuzz_one(reinterpret_cast<const uint8_t*>(input.data()), input.size());
    const Cost cost = cost_of(input);
    us.push_back(cost.us);
    fuel_max = std::max(fuel_max, cost.fuel);
    if (cost.us > slowest_us) {
      slowest_us = cost.us;
      slowest = input;
    }
    if (i % 1024 == 0) largest = std::max(largest, resident_bytes());
  }
  std::sort(us.begin(), us.end());
  double sum = 0;
  for (float each : us) sum += each;
  fmt::print(
      "math fuzz: {} pairs, median {:.1f} us, mean {:.1f} us, p99.9 {:.1f} us, max {:.1f} us\n",
      count, us[count / 2], sum / static_cast<double>(count), us[count * 999 / 1000], us.back());
  fmt::print("math fuzz: fuel at most {}, memory grew by {} MiB; slowest: {}\n", fuel_max,
             (largest - before) >> 20, slowest.substr(0, 300));
  CHECK(fuel_max <= actors::Fuel::kVerdictUnits);
  CHECK(largest - before <= kMemoryGrowthMax);
}

TEST_CASE("math fuzz: verdicts on two threads, in which nothing but their number counts") {
  constexpr size_t kRounds = 200;
  const std::vector<std::string> corpus = math_corpus();
  std::vector<std::thread> threads;
  std::atomic<size_t> num_equal{0};
  const auto start = std::chrono::steady_clock::now();
  for (int thread = 0; thread < 2; ++thread) {
    threads.emplace_back([&] {
      for (size_t i = 0; i < kRounds * corpus.size(); ++i) {
        const std::string_view pair = corpus[i % corpus.size()];
        const size_t tab = pair.find('\t');
        const auto verdict = actors::verify_math_answer(pair.substr(tab + 1), pair.substr(0, tab));
        num_equal += verdict.kind == VerdictKind::kEqual;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const double count = 2.0 * kRounds * static_cast<double>(corpus.size());
  fmt::print("math: {:.0f} verdicts/s on two threads, over all pairs with the bombs among them\n",
             count / seconds.count());
  CHECK(num_equal > corpus.size());
}

}  // namespace
}  // namespace troupe::fuzz
