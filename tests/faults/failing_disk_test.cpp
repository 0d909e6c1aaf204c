// A disk that fails under a real daemon: it says so, loses nothing that was acknowledged, and never
// goes on with a file whose sync has failed.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/faults/submission_kills.h"
#include "tests/support/killed_run.h"

namespace troupe {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using tests::Ended;
using tests::Process;
using tests::ShortJob;

#ifdef TROUPE_FAILING_DISK
constexpr const char* kLibrary = TROUPE_FAILING_DISK;
#else
constexpr const char* kLibrary = nullptr;
#endif

bool is_here() {
  if (kLibrary == nullptr) std::printf("skipped: no library can be loaded before a sanitizer\n");
  return kLibrary != nullptr;
}

tests::Invocation on_failing_disk(tests::Invocation invocation, const std::string& trigger) {
  invocation.environment = {{"LD_PRELOAD", kLibrary}, {"TROUPE_DISK_TRIGGER", trigger}};
  return invocation;
}

Result<JobSummary> submit(const std::string& server, const JobSpec& spec, int number) {
  auto client = cluster::FrontDoorClient::connect({.folder = server});
  if (!client) return client.error();
  SubmitJob request{.request_id = std::to_string(number), .job = spec};
  request.job.name = "job_" + std::to_string(number);
  return cluster::only_job((*client)->ask(request));
}

TEST_CASE("failing disk: a daemon refuses in words, goes on with new files, and loses no job") {
  if (!is_here()) return;
  const ShortJob job;
  const JobSpec spec = tests::endless_job(job);
  const std::string server = job.file("door");
  const std::string trigger = job.file("trigger");
  const tests::Invocation plain{
      .arguments = {"--home", job.file("home"), "--server", server, "--slots", "1"},
      .name = "trouped"};
  std::optional<Process> daemon(std::in_place, on_failing_disk(plain, trigger));
  REQUIRE(daemon->says("serving"));
  int number = 0;
  std::set<std::string> accepted;
  const auto accepts = [&] {
    const auto job_of = submit(server, spec, ++number);
    if (job_of) accepted.insert(job_of->name);
    CHECK_MESSAGE(job_of, job_of.error().message);
  };
  accepts();
  accepts();
  for (const std::string where : {"sync .log", "sync /mark", "sync /MANIFEST", "write .log",
                                  "write /mark", "sync /replay/ always", "write /replay/ always"}) {
    CAPTURE(where);
    // Only a list of tables that has grown is synced before a commit.
    if (where == "sync /MANIFEST") {
      daemon->signal(SIGKILL);
      daemon->wait();
      daemon.emplace(on_failing_disk(plain, trigger));
      REQUIRE(daemon->says("trouped: serving"));
    }
    tests::write_text(job.file("wanted"), where);
    std::filesystem::rename(job.file("wanted"), trigger);
    // Nobody waits for the mark's sync, which comes when the store rests.
    const bool is_asked = where != "sync /MANIFEST" && where != "sync /mark";
    const auto refused = submit(server, spec, ++number);
    if (refused) accepted.insert(refused->name);
    if (is_asked) {
      REQUIRE_FALSE(refused);
      CHECK_MESSAGE(refused.error().message.find("Input/output error") != std::string::npos,
                    refused.error().message);
      CHECK(refused.error().message.find(job.file("home")) != std::string::npos);
    } else if (where == "sync /mark") {
      CHECK(refused);
      CHECK(daemon->waits_for([&] { return !std::filesystem::exists(trigger); }, 10s));
    }
    std::filesystem::remove(trigger);
    accepts();
    accepts();
    CHECK_MESSAGE(!std::filesystem::exists(trigger + ".trusted"),
                  tests::contents(trigger + ".trusted"));
  }
  daemon->signal(SIGKILL);
  daemon->wait();
  daemon.emplace(plain);
  REQUIRE(daemon->says("serving"));
  auto client = cluster::FrontDoorClient::connect({.folder = server});
  REQUIRE(client);
  const auto jobs = cluster::list_jobs(**client);
  REQUIRE(jobs);
  std::multiset<std::string> found;
  for (const JobSummary& one : *jobs) found.insert(one.name);
  for (const std::string& name : accepted) {
    CAPTURE(name);
    CHECK(found.count(name) == 1);
  }
  CHECK(found.size() == accepted.size());
}

TEST_CASE("failing disk: a run ends with the reason, and its resume with the same history") {
  if (!is_here()) return;
  const ShortJob job;
  const std::vector<std::string> set =
      tests::with(tests::kKilledJob, {"sft.steps=10", "grpo.steps=8"});
  const json undisturbed = tests::result_of(tests::troupe(job.run("undisturbed", set)));
  int number = 0;
  for (const std::string where : {"sync .log", "write /mark"}) {
    CAPTURE(where);
    const std::string name = "home" + std::to_string(++number);
    const std::string trigger = job.file("trigger");
    Process run(on_failing_disk(job.run(name, set), trigger));
    REQUIRE(run.waits_for([&] { return tests::lines_in(job.file(name) + "/metrics.jsonl") >= 12; },
                          60s));
    tests::write_text(job.file("wanted"), where);
    std::filesystem::rename(job.file("wanted"), trigger);
    const Ended ended = run.wait();
    CHECK(ended.exit_code == 1);
    CHECK_MESSAGE(ended.error.find("Input/output error") != std::string::npos, ended.error);
    CHECK_FALSE(std::filesystem::exists(trigger));
    CHECK_FALSE(std::filesystem::exists(trigger + ".trusted"));
    const json result = tests::result_of(tests::troupe(tests::resumed(job.run(name, set))));
    CHECK(tests::history_of(result) == tests::history_of(undisturbed));
  }
}

}  // namespace
}  // namespace troupe
