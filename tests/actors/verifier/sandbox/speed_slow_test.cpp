// What a box costs, beside the same program without one in the same run. Reported, not asserted:
// the machine may be busy.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "tests/support/test_sandbox.h"

namespace troupe::actors {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double median_ms(const std::function<void()>& work) {
  std::vector<double> times;
  for (int i = 0; i < 200; ++i) times.push_back(milliseconds_of(work));
  std::nth_element(times.begin(), times.begin() + 100, times.end());
  return times[100];
}

const std::vector<std::string> kPython = {"/usr/bin/python3", "-I", "-S", "-c", "pass"};

void run_bare() {
  std::vector<char*> argv;
  for (const std::string& word : kPython) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  int status = -1;
  REQUIRE(posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environ) == 0);
  REQUIRE(waitpid(pid, &status, 0) == pid);
  REQUIRE(status == 0);
}

TEST_CASE("box: what it costs") {
  Sandbox* sandbox = tests::test_sandbox();
  if (!sandbox) return;
  BoxProgram program;
  program.argv = kPython;
  const auto run_boxed = [&] {
    const BoxResult result = sandbox->run(program);
    REQUIRE_MESSAGE(result.end == BoxEnd::kExited, result.reason);
  };
  run_boxed();
  const double bare = median_ms(run_bare), boxed = median_ms(run_boxed);
  constexpr int kRuns = 500;
  std::atomic<int> next = 0;
  const double all_ms = milliseconds_of([&] {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < std::thread::hardware_concurrency(); ++i) {
      threads.emplace_back([&] {
        while (next++ < kRuns) CHECK(sandbox->run(program).end == BoxEnd::kExited);
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  fmt::print("box: python3 -I -S, median of 200: bare {:.2f} ms, boxed {:.2f} ms, so {:.2f} ms\n",
             bare, boxed, boxed - bare);
  fmt::print("box: {:.0f} boxed runs a second on {} threads\n", kRuns * 1000 / all_ms,
             std::thread::hardware_concurrency());
}

TEST_CASE("box: how late its end comes") {
  Sandbox* sandbox = tests::test_sandbox();
  if (!sandbox) return;
  const auto report = [&](const char* what, const std::string& code, BoxEnd end, BoxLimits limits) {
    std::vector<double> late_ms;
    for (int i = 0; i < 100; ++i) {
      const BoxResult result =
          sandbox->run({.argv = {"/usr/bin/python3", "-I", "-S", "-c", code}, .limits = limits});
      if (result.end != end) continue;  // A busy machine starves it.
      const double used = end == BoxEnd::kCpuLimit ? result.cpu_seconds : result.wall_seconds;
      const double limit = end == BoxEnd::kCpuLimit ? limits.cpu_seconds : limits.wall_seconds;
      late_ms.push_back((used - limit) * 1000);
    }
    REQUIRE(!late_ms.empty());
    std::sort(late_ms.begin(), late_ms.end());
    fmt::print("box: {} ended {:.1f} ms past its limit at the median of {}, {:.1f} ms at most\n",
               what, late_ms[late_ms.size() / 2], late_ms.size(), late_ms.back());
  };
  report("a sleeper", "import signal\nsignal.pause()", BoxEnd::kWallLimit, {.wall_seconds = 0.1});
  report("a loop", "while True: pass", BoxEnd::kCpuLimit, {.cpu_seconds = 0.1, .wall_seconds = 10});
  report("four loops", "import os\nos.fork()\nos.fork()\nwhile True: pass", BoxEnd::kCpuLimit,
         {.cpu_seconds = 0.1, .wall_seconds = 10});
}

}  // namespace
}  // namespace troupe::actors
