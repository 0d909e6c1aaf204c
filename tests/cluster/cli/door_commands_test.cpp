// The daemon's commands as a shell sees them, against a real front door with a small book behind
// it.
#include <doctest/doctest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "cluster/monitor/metrics_feed.h"
#include "tests/cluster/gateway/door_fixture.h"
#include "tests/support/process.h"
#include "tests/support/recording_sink.h"

namespace troupe::cluster {
namespace {

using tests::troupe;

std::string word(std::string line) {
  while (!line.empty() && line.back() == '\n') line.pop_back();
  return line;
}

TEST_CASE("door commands: a job is submitted, shown, changed and listed") {
  const tests::TempDir dir;
  const std::string server = dir.file("door");
  tests::JobBook book;
  const auto door = tests::open_door({.folder = server}, book.at_once());
  REQUIRE(troupe({"init", dir.file("job.toml")}).exit_code == 0);
  REQUIRE(troupe({"make-data", "arithmetic", "--out", dir.file("data"), "--train", "10",
                  "--cold-start-clean", "10", "--cold-start-noisy", "10", "--held-out", "5"})
              .exit_code == 0);
  const auto with_server = [&](std::vector<std::string> words) {
    words.insert(words.end(), {"--server", server});
    return troupe(words);
  };

  const auto first = with_server({"submit", dir.file("job.toml"), "--set", "name=mine"});
  CHECK(first.exit_code == 0);
  CHECK(first.out == "1\n");
  CHECK(first.error.empty());
  CHECK(with_server({"submit", dir.file("job.toml"), "--request-id", "again"}).out == "2\n");
  CHECK(with_server({"submit", dir.file("job.toml"), "--request-id", "again"}).out == "2\n");
  CHECK(with_server({"submit", dir.file("job.toml"), "--request-id", std::string(200, 'x')})
            .exit_code == 2);

  const auto jobs = with_server({"jobs"});
  CHECK(jobs.exit_code == 0);
  CHECK(jobs.out.find("mine") != std::string::npos);
  CHECK(with_server({"top"}).out == jobs.out);
  const auto json = nlohmann::json::parse(with_server({"jobs", "--json"}).out);
  REQUIRE(json.size() == 2);
  CHECK(json[0]["name"] == "mine");
  CHECK(json[0]["state"] == "queued");

  CHECK(with_server({"pause", "1"}).out.find("state    paused") != std::string::npos);
  CHECK(with_server({"resume", "1"}).out.find("state    queued") != std::string::npos);
  CHECK(with_server({"cancel", "1"}).out.find("state    cancelled") != std::string::npos);
  CHECK(with_server({"show", "1"}).out.find("name     mine") != std::string::npos);
  const auto missing = with_server({"show", "99"});
  CHECK(missing.exit_code == 2);
  CHECK(missing.error == "troupe show: there is no job 99\n");
  // A job that was cancelled is over for those who watch it.
  const auto watched = with_server({"watch", "1", "--json"});
  CHECK(watched.exit_code == 3);
  CHECK(watched.error.find("troupe watch: job 1 is cancelled\n") != std::string::npos);
  CHECK(nlohmann::json::parse(word(watched.out))["state"] == "cancelled");
}

TEST_CASE("door commands: logs are printed to their end, harmless") {
  const tests::TempDir dir;
  const auto door = tests::open_door(
      {.folder = dir.file("door")},
      [](const ControlRequest& request, const Asker&, const auto& answer) {
        const auto* logs = std::get_if<JobLogs>(&request);
        if (logs == nullptr) {
          answer({.jobs = {{.id = 1, .state = JobState::kFinished}}});
        } else if (logs->first_line < 3) {
          answer({.lines = {"line " + std::to_string(logs->first_line) + "\x1b[2J"},
                  .next = logs->first_line + 1});
        } else {
          answer({.next = 3});
        }
      });
  for (const bool is_following : {false, true}) {
    std::vector<std::string> words = {"logs", "1", "--server", dir.file("door")};
    if (is_following) words.push_back("--follow");
    const auto logs = troupe(words);
    CHECK(logs.exit_code == 0);
    CHECK(logs.out == "line 0·[2J\nline 1·[2J\nline 2·[2J\n");
  }
}

// A job whose run is told as soon as somebody watches, and which then is in the state `end`.
tests::Ended watch_a_run(JobState end) {
  const tests::TempDir dir;
  std::unique_ptr<FrontDoor> door;
  MetricsFeed feed(1, [&door](std::string topic, std::vector<std::byte> event) {
    door->publish(std::move(topic), "", std::move(event));
  });
  std::atomic<bool> is_watched{false};
  std::atomic<JobState> state{JobState::kRunning};
  door = tests::open_door({.folder = dir.file("door")}, [&](const ControlRequest& request,
                                                            const Asker&, const auto& answer) {
    ControlReply reply;
    if (const auto* watch = std::get_if<WatchJob>(&request)) {
      reply.events = feed.history(watch->first_sequence, reply.next);
      is_watched = true;
    } else {
      reply.jobs = {{.id = 1, .state = state, .message = end == JobState::kFailed ? "why" : ""}};
    }
    answer(std::move(reply));
  });
  JobSpec job;
  job.name = "watched";
  feed.run_started(job, "abc", 42);
  feed.noted("before anybody watched");
  tests::Process watching({.arguments = {"watch", "1", "--server", dir.file("door")}});
  CHECK(tests::eventually([&] { return is_watched.load(); }));
  for (int64_t step = 1; step <= 3; ++step) {
    feed.step_committed({.stage = Stage::kGrpo, .stage_step = step, .stage_steps = 3});
  }
  feed.noted("while it was watched");
  feed.run_ended({.tokens_generated = 12}, name(end), "fff");
  state = end;
  return watching.wait();
}

TEST_CASE("door commands: watch tells past and present and ends as the job ends") {
  const auto finished = watch_a_run(JobState::kFinished);
  CAPTURE(finished.out);
  CHECK(finished.exit_code == 0);
  CHECK(finished.error.empty());
  for (const char* part : {"watched: 42 parameters", "before anybody watched", "grpo 3/3",
                           "while it was watched", "finished: 12 tokens generated"}) {
    CAPTURE(part);
    CHECK(finished.out.find(part) != std::string::npos);
  }
  const auto failed = watch_a_run(JobState::kFailed);
  CHECK(failed.exit_code == 1);
  CHECK(failed.error == "troupe watch: job 1 is failed: why\n");
  const auto paused = watch_a_run(JobState::kPaused);
  CHECK(paused.exit_code == 3);
  CHECK(paused.error == "troupe watch: job 1 is paused\n");
}

}  // namespace
}  // namespace troupe::cluster
