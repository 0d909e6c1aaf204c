// How long it takes to go on: printed, and bounded by what the design promises.
#include <doctest/doctest.h>

#include <chrono>

#include "tests/support/tree_kill.h"

namespace troupe {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using tests::Process;
using tests::ShortJob;

constexpr int kTimes = 5;
const std::vector<std::string> kEndless = tests::with(
    tests::kKilledJob, {"sft.steps=4", "grpo.steps=100000", "eval.every_steps=0", "eval.problems=1",
                        "resources.placement=split", "resources.rollout=2"});

double seconds_since(Clock::time_point from) {
  return std::chrono::duration<double>(Clock::now() - from).count();
}

struct Times {
  std::vector<double> all{};

  double largest() const { return *std::max_element(all.begin(), all.end()); }
  std::string text() const {
    std::vector<double> sorted = all;
    std::sort(sorted.begin(), sorted.end());
    std::ostringstream out;
    out.precision(3);
    out << "median " << sorted[sorted.size() / 2] << " s, " << sorted.front() << " to "
        << sorted.back() << " s, " << sorted.size() << " times";
    return out.str();
  }
};

struct Recovery {
  Times noticed{};   // Its work is given to another worker of the role at this moment.
  Times replaced{};  // And to its replacement at this one.
};

Recovery measure(const ShortJob& job, const std::string& schedule, int slot, int signal) {
  Recovery recovery;
  const std::string name = schedule + std::to_string(slot);
  const std::string home = job.file(name);
  const std::string lag = schedule == "pipelined" ? "1" : "0";
  Process run(
      job.run(name, tests::with(kEndless, {"schedule.mode=" + schedule, "schedule.lag=" + lag})));
  REQUIRE(run.says("grpo 1/"));
  const std::string title = "worker " + std::to_string(slot) + " (";
  size_t seen = 0;
  const auto says_next = [&](const std::string& what) {
    size_t at = std::string::npos;
    REQUIRE(run.waits_for(
        [&] {
          at = run.error().find(title, seen);
          while (at != std::string::npos) {
            const size_t end = run.error().find('\n', at);
            if (end == std::string::npos) return false;
            if (run.error().substr(at, end - at).find(what) != std::string::npos) return true;
            at = run.error().find(title, end);
          }
          return false;
        },
        30s));
    seen = at + 1;
  };
  for (int i = 0; i < kTimes; ++i) {
    const size_t steps = tests::lines_in(home + "/metrics.jsonl");
    // It is at work again.
    REQUIRE(
        run.waits_for([&] { return tests::lines_in(home + "/metrics.jsonl") > steps + 3; }, 60s));
    const auto workers = tests::workers_of(home);
    REQUIRE(workers.count(slot) == 1);
    const auto struck = Clock::now();
    REQUIRE(::kill(workers.at(slot), signal) == 0);
    says_next("is lost");
    recovery.noticed.all.push_back(seconds_since(struck));
    says_next("is back");
    recovery.replaced.all.push_back(seconds_since(struck));
  }
  tests::kill_tree(run, home);
  return recovery;
}

TEST_CASE("recovery: a killed worker's work is given out again within a second") {
  const ShortJob job;
  const std::map<int, std::string> roles = {
      {0, "learner"}, {1, "rollout, another is there"}, {3, "only verifier"}};
  for (const std::string schedule : {"sync", "pipelined"}) {
    for (const auto& [slot, role] : roles) {
      const Recovery recovery = measure(job, schedule, slot, SIGKILL);
      MESSAGE(schedule << ", SIGKILL of the " << role << ": noticed " << recovery.noticed.text()
                       << "; replaced " << recovery.replaced.text());
      CHECK(recovery.noticed.largest() < 1);
      CHECK(recovery.replaced.largest() < 10);
    }
  }
}

TEST_CASE("recovery: a worker that stands still is noticed within three seconds") {
  const ShortJob job;
  const Recovery recovery = measure(job, "sync", 1, SIGSTOP);
  MESSAGE("SIGSTOP of a rollout: noticed " << recovery.noticed.text() << "; replaced "
                                           << recovery.replaced.text());
  CHECK(recovery.noticed.largest() < 3);
}

TEST_CASE("recovery: a resumed run learns within seconds") {
  const ShortJob job;
  const std::string home = job.file("home");
  Times ready;
  Times learned;
  for (int i = 0; i <= kTimes; ++i) {
    const auto began = Clock::now();
    const size_t steps = tests::lines_in(home + "/metrics.jsonl");
    const auto invocation = job.run("home", kEndless);
    Process run(i == 0 ? invocation : tests::resumed(invocation));
    if (i > 0) {
      REQUIRE(run.says("goes on from version"));
      ready.all.push_back(seconds_since(began));
    }
    REQUIRE(run.waits_for([&] { return tests::lines_in(home + "/metrics.jsonl") > steps; }, 60s));
    if (i > 0) learned.all.push_back(seconds_since(began));
    const size_t enough = tests::lines_in(home + "/metrics.jsonl") + 20;
    REQUIRE(run.waits_for([&] { return tests::lines_in(home + "/metrics.jsonl") > enough; }, 60s));
    tests::kill_tree(run, home);
  }
  MESSAGE("resume: the learner is ready after " << ready.text() << "; the first new step after "
                                                << learned.text());
  CHECK(learned.largest() < 30);
}

}  // namespace
}  // namespace troupe
