// The disk under a head's home is full and has room again: the same process goes on by itself.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/killed_run.h"
#include "tests/support/small_disk.h"

namespace troupe {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using tests::Ended;
using tests::Process;
using tests::ShortJob;
using tests::SmallDisk;

constexpr int kMegabytes = 256;
const std::vector<std::string> kJob = tests::with(
    tests::kKilledJob, {"sft.steps=10", "grpo.steps=24", "schedule.checkpoint_every_steps=24"});
constexpr uint64_t kSftSteps = 10;
constexpr uint64_t kSteps = kSftSteps + 24;
constexpr uint64_t kGroupsPerStep = 4;

const ShortJob& job() {
  static const ShortJob instance;
  return instance;
}

const json& undisturbed() {
  static const json result = tests::result_of(tests::troupe(job().run("undisturbed", kJob)));
  return result;
}

tests::Invocation run_in(const std::string& home) {
  tests::Invocation invocation = job().run("", kJob);
  *(std::find(invocation.arguments.begin(), invocation.arguments.end(), "--home") + 1) = home;
  return invocation;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The log of a store takes more room than it needs at once, if there is any: a disk with less than
// this lets the test fill all of it.
constexpr size_t kLessThanLog = 8 << 20;

// Fills the disk behind `steps_done` steps and waits until the run says that it waits for room in
// `part` of its home.
void fill_amid(Process& run, SmallDisk& disk, uint64_t steps_done, size_t bytes_left,
               const std::string& part) {
  const std::string metrics = disk.file("home") + "/metrics.jsonl";
  REQUIRE(run.waits_for([&] { return tests::lines_in(metrics) >= 1; }, 60s));
  disk.empty();
  REQUIRE(run.waits_for([&] { return tests::lines_in(metrics) >= steps_done; }, 60s));
  // The point behind the cold start may still be on its way; the store waits for it then, and has
  // nothing to write.
  const std::string point = disk.file("home") + "/checkpoints/step_" + std::to_string(kSftSteps);
  REQUIRE((steps_done <= kSftSteps ||
           run.waits_for([&] { return std::filesystem::exists(point); }, 60s)));
  // Filling takes time, in which the run would come to its end: it stands still.
  run.signal(SIGSTOP);
  disk.fill(bytes_left);
  run.signal(SIGCONT);
  const bool waits = run.waits_for(
      [&] {
        const size_t at = run.error().find(disk.file("home") + part);
        return at != std::string::npos && has(run.error().substr(at), "then it goes on by itself");
      },
      30s);
  CAPTURE(run.error());
  REQUIRE(waits);
}

void check_run(uint64_t steps_done, size_t bytes_left, const std::string& part) {
  CAPTURE(steps_done);
  const auto disk = SmallDisk::mount(kMegabytes);
  if (!disk) return;
  const std::string home = disk->file("home");
  disk->fill(kLessThanLog);
  Process run(run_in(home));
  fill_amid(run, *disk, steps_done, bytes_left, part);
  CAPTURE(run.error());
  CHECK(has(run.error(), "No space left on device"));
  CHECK(has(run.error(), "make room on that disk"));
  disk->empty();
  const json result = tests::result_of(run.wait());
  CHECK(tests::history_of(result) == tests::history_of(undisturbed()));
  tests::check_store(home, kSteps, kSftSteps, kGroupsPerStep);
  // Half a line of metrics is none.
  std::ifstream metrics(home + "/metrics.jsonl");
  for (std::string line; std::getline(metrics, line);) CHECK(json::accept(line));
}

TEST_CASE("full disk: a run waits with its records and ends with the same history") {
  check_run(2, 0, "/replay");
  check_run(kSftSteps + 1, 0, "/replay");
}

TEST_CASE("full disk: a run waits with its recovery point and ends with the same history") {
  // Records still fit, a recovery point does not.
  check_run(kSftSteps + 1, 4 << 20, "/checkpoints");
}

TEST_CASE("full disk: the daemon refuses jobs in words, keeps the accepted ones and goes on") {
  const auto disk = SmallDisk::mount(kMegabytes);
  if (!disk) return;
  const std::string server = job().file("door");
  const tests::Invocation invocation{
      .arguments = {"--home", disk->file("home"), "--server", server, "--slots", "1"},
      .name = "trouped"};
  disk->fill(kLessThanLog);
  std::optional<Process> daemon(std::in_place, invocation);
  REQUIRE(daemon->says("serving"));
  const auto ask = [&](std::vector<std::string> words) {
    words.insert(words.end(), {"--server", server});
    return tests::troupe(words);
  };
  const auto submit = [&](const std::string& request, std::vector<std::string> set) {
    std::vector<std::string> words = {"submit", job().job(), "--request-id", request};
    for (auto& one : set) words.insert(words.end(), {"--set", std::move(one)});
    return ask(words);
  };
  const Ended first = submit("first", kJob);
  REQUIRE_MESSAGE(first.exit_code == 0, first.error);
  disk->empty();
  REQUIRE(submit("second", {"seed=2"}).exit_code == 0);
  REQUIRE(daemon->says("job 1 (short) is running"));
  disk->fill();
  // The log may have room for a few more.
  int last = 2;
  Ended refused;
  const auto next = [&last] { return "request " + std::to_string(last + 1); };
  while (refused.exit_code != 1 && last < 50) {
    refused = submit(next(), {"seed=3"});
    last += refused.exit_code == 0;
  }
  CHECK(refused.exit_code == 1);
  for (const char* part : {"the job is not accepted", "No space left on device", "make room on",
                           "then submit it again"}) {
    CAPTURE(std::string(part));
    CHECK_MESSAGE(has(refused.error, part), refused.error);
  }
  CHECK(has(refused.error, disk->path()));
  const auto says = [&](const std::string& text) {
    return daemon->waits_for([&] { return has(daemon->error(), text); }, 30s);
  };
  REQUIRE(says("nothing can be recorded"));
  // What needs no room goes on.
  CHECK(ask({"show", "2"}).exit_code == 0);
  const Ended cancelled = ask({"cancel", "2"});
  CHECK(cancelled.exit_code == 1);
  CHECK_MESSAGE(has(cancelled.error, "No space left on device"), cancelled.error);
  disk->empty();
  REQUIRE(says("there is room again"));
  // One that was refused is no job, and its number is given to the next.
  CHECK(submit(next(), {"seed=3"}).out == std::to_string(last + 1) + "\n");
  CHECK(ask({"watch", "1"}).exit_code == 0);
  const json shown = json::parse(ask({"show", "1", "--json"}).out);
  CHECK(shown["weights_sha256"] == undisturbed()["weights_sha256"]);
  daemon->signal(SIGKILL);
  daemon->wait();
  daemon.emplace(invocation);
  REQUIRE(daemon->says("serving"));
  CHECK(ask({"watch", std::to_string(last + 1)}).exit_code == 0);
  const json listed = json::parse(ask({"jobs", "--json"}).out);
  CHECK(listed.size() == static_cast<size_t>(last + 1));
}

TEST_CASE("full disk: who waits stops when it is told to, and the job goes on later") {
  const auto disk = SmallDisk::mount(kMegabytes);
  if (!disk) return;
  const std::string home = disk->file("home");
  {
    disk->fill(kLessThanLog);
    Process run(run_in(home));
    fill_amid(run, *disk, 2, 0, "/replay");
    run.signal(SIGINT);
    const Ended ended = run.wait();
    CHECK(ended.exit_code == 1);
    CHECK_MESSAGE(has(ended.error, "No space left on device"), ended.error);
  }
  disk->empty();
  const json result = tests::result_of(tests::troupe(tests::resumed(run_in(home))));
  CHECK(tests::history_of(result) == tests::history_of(undisturbed()));
}

}  // namespace
}  // namespace troupe
