// Workers of every role are killed and stopped while a run goes on: it ends with the history of the
// undisturbed run, and says what it has lost.
#include <doctest/doctest.h>

#include <chrono>

#include "tests/support/text.h"
#include "tests/support/tree_kill.h"

namespace troupe {
namespace {

using nlohmann::json;
using tests::Process;
using tests::ShortJob;
using namespace std::chrono_literals;

// Long enough that all faults find it at work.
const std::vector<std::string> kJob =
    tests::with(tests::kKilledJob, {"sft.steps=10", "grpo.steps=40", "eval.every_steps=20"});
constexpr uint64_t kSftSteps = 10;
constexpr uint64_t kSteps = kSftSteps + 40;
constexpr uint64_t kGroupsPerStep = 4;

const ShortJob& job() {
  static const ShortJob instance;
  return instance;
}

const json& undisturbed() {
  static const json result = tests::result_of(tests::troupe(job().run("undisturbed", kJob)));
  return result;
}

struct Worker {
  int slot;
  const char* roles;

  std::string title() const { return "worker " + std::to_string(slot) + " (" + roles + ") "; }
};

// Sends `signal` to all of them at once and waits until each is noticed, gone and replaced.
void strike(Process& run, const std::string& home, const std::vector<Worker>& workers, int signal) {
  CAPTURE(signal);
  const auto count = [&run](const std::string& what) { return tests::count_of(run.error(), what); };
  const auto all = [&](auto holds) { return std::all_of(workers.begin(), workers.end(), holds); };
  std::map<int, pid_t> pids;
  REQUIRE(run.waits_for(
      [&] {
        pids = tests::workers_of(home);
        return all([&](const Worker& worker) { return pids.count(worker.slot) == 1; });
      },
      30s));
  std::map<int, size_t> losses;
  std::map<int, size_t> returns;
  for (const Worker& worker : workers) {
    losses[worker.slot] = count(worker.title() + "is lost");
    returns[worker.slot] = count(worker.title() + "is back");
  }
  const auto struck = std::chrono::steady_clock::now();
  for (const Worker& worker : workers) REQUIRE(::kill(pids.at(worker.slot), signal) == 0);
  const bool is_noticed = run.waits_for(
      [&] {
        return all([&](const Worker& worker) {
          return count(worker.title() + "is lost") > losses[worker.slot];
        });
      },
      30s);
  const std::chrono::duration<double> noticed = std::chrono::steady_clock::now() - struck;
  CAPTURE(run.error());
  REQUIRE(is_noticed);
  CHECK(noticed.count() < 3);
  // Fenced, and no longer there.
  CHECK(run.waits_for(
      [&] {
        return all([&](const Worker& worker) { return !tests::is_running(pids.at(worker.slot)); });
      },
      5s));
  REQUIRE(run.waits_for(
      [&] {
        return all([&](const Worker& worker) {
          return count(worker.title() + "is back") > returns[worker.slot];
        });
      },
      30s));
}

// The head can hear nobody while it stands still, and must not take that for their silence.
void check_pause(Process& run, const std::string& metrics) {
  run.signal(SIGSTOP);
  CHECK(run.waits_for([&] { return tests::state_of(run.pid()) == 'T'; }, 5s));
  static_cast<void>(run.waits_for([] { return false; }, 2500ms));
  const size_t lines = tests::lines_in(metrics);
  run.signal(SIGCONT);
  CHECK(run.waits_for([&] { return tests::lines_in(metrics) > lines + 1; }, 30s));
  CHECK(run.error().find("is lost") == std::string::npos);
}

void check_run(const std::string& name, const std::vector<std::string>& layout,
               const std::vector<Worker>& victims) {
  CAPTURE(name);
  const json want = tests::history_of(undisturbed());
  const std::string home = job().file(name);
  Process run(job().run(name, tests::with(kJob, layout)));
  const auto is_learning = [&] { return tests::lines_in(home + "/metrics.jsonl") > 0; };
  REQUIRE(run.waits_for(is_learning, 60s));
  check_pause(run, home + "/metrics.jsonl");
  for (const Worker& victim : victims) strike(run, home, {victim}, SIGKILL);
  strike(run, home, victims, SIGSTOP);
  const json result = tests::result_of(run.wait());
  CHECK(tests::history_of(result) == want);
  CHECK(result["ledger"]["workers_lost"] >= 2 * victims.size());
  CHECK(result["trajectories"]["generated"] == result["trajectories"]["learned"]);
  tests::check_store(home, kSteps, kSftSteps, kGroupsPerStep);
  CHECK(tests::lines_in(home + "/metrics.jsonl") >= kSteps);
  CHECK(tests::workers_of(home).empty());
}

TEST_CASE("workers apart: each role killed and stopped, the same history") {
  check_run("split", {"resources.placement=split", "resources.rollout=2", "resources.verifier=2"},
            {{1, "rollout"}, {3, "verifier"}, {0, "learner"}});
}

TEST_CASE("colocated workers: each killed and stopped, the same history") {
  check_run("colocated", {}, {{0, "rollout+learner"}, {1, "verifier"}});
}

TEST_CASE("a worker that stands still when its head is killed does not stay") {
  const std::string home = job().file("orphan");
  // Who is given up meanwhile has another in its place, which would wait for the next head.
  Process run(job().run("orphan", tests::with(kJob, {"resources.reconnect_seconds=0"})));
  REQUIRE(run.waits_for([&] { return tests::lines_in(home + "/metrics.jsonl") > 0; }, 60s));
  const auto workers = tests::workers_of(home);
  REQUIRE_FALSE(workers.empty());
  for (const auto& [slot, pid] : workers) {
    REQUIRE(::kill(pid, SIGSTOP) == 0);
    CHECK(run.waits_for([stopped = pid] { return tests::state_of(stopped) == 'T'; }, 5s));
  }
  // The system wakes and ends a stopped process that nobody is left for.
  tests::kill_head(run, home);
  CHECK(tests::comes_true([&] { return tests::workers_of(home).empty(); }, 2s));
}

}  // namespace
}  // namespace troupe
