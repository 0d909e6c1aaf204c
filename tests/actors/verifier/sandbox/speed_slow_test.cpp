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

}  // namespace
}  // namespace troupe::actors
