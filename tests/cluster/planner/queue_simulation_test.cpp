// Many jobs on one cluster, where who waits for whom is known.
#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "cluster/planner/queue_simulation.h"
#include "kernels/random.h"
#include "tests/support/process.h"

namespace troupe::cluster {
namespace {

QueuedJob job(double submitted, uint32_t slots, double seconds, int64_t priority = 0) {
  return {.name = "job",
          .submitted = submitted,
          .seconds = seconds,
          .need = {.slots = {.learner = 1, .required = slots}, .priority = priority}};
}

QueueResult run(const std::vector<QueuedJob>& jobs, int64_t hosts, int64_t slots) {
  auto result = simulate_queue(jobs, hosts, slots);
  REQUIRE_MESSAGE(result, result.error().message);
  return *std::move(result);
}

TEST_CASE("planner, queue: two jobs and one slot") {
  const QueueResult r = run({job(0, 1, 100), job(10, 1, 50)}, 1, 1);
  CHECK(r.jobs[0].begun == 0);
  CHECK(r.jobs[1].begun == 100);
  CHECK(r.seconds == 150);
  CHECK(r.wait_mean == 45);
  CHECK(r.utilisation == 1);
}

TEST_CASE("planner, queue: a job that needs all waits, and nothing that is later is before it") {
  const std::vector<QueuedJob> jobs = {job(0, 3, 100), job(1, 4, 10), job(2, 1, 1000)};
  const QueueResult r = run(jobs, 1, 4);
  CHECK(r.jobs[1].begun == 100);
  CHECK(r.jobs[2].begun == 110);
  // One that is over before that may go first.
  const QueueResult backfilled =
      pooled_queue({job(0, 3, 100), job(1, 4, 10), job(2, 1, 50)}, 4, PooledOrder::kBackfill);
  CHECK(backfilled.jobs[1].begun == 100);
  CHECK(backfilled.jobs[2].begun == 2);
  CHECK(pooled_queue(jobs, 4, PooledOrder::kBackfill).jobs[2].begun == 110);
}

TEST_CASE("planner, queue: who makes room for a higher priority goes on with what is left") {
  const QueueResult r = run({job(0, 2, 100), job(30, 2, 50, 5)}, 1, 2);
  CHECK(r.jobs[0].times_stopped == 1);
  CHECK(r.jobs[1].begun == 30);
  CHECK(r.jobs[1].ended == 80);
  CHECK(r.jobs[0].ended == 150);
}

TEST_CASE("planner, queue: who never fits is named") {
  const auto refused = simulate_queue({job(0, 9, 1)}, 2, 4);
  REQUIRE(!refused);
  CHECK(refused.error().message.find("job: never begins") == 0);
}

TEST_CASE("planner, queue: first come, first served, by hand") {
  const QueueResult r =
      pooled_queue({job(0, 2, 10), job(0, 2, 20), job(0, 1, 5)}, 4, PooledOrder::kFirstComeFirst);
  CHECK(r.jobs[1].begun == 0);
  CHECK(r.jobs[2].begun == 10);
  CHECK(r.wait_max == 10);
  CHECK(r.utilisation == doctest::Approx(65.0 / 80));
}

// 10,000 jobs in a week on 64 hosts of 8: sizes and lengths as clusters have them, most of them
// small, a few over many hosts.
std::vector<QueuedJob> week(uint64_t count) {
  constexpr uint32_t kSizes[] = {1, 1, 1, 1, 2, 2, 4, 8, 8, 8, 16, 64};
  constexpr double kWeek = 7 * 24 * 3600.0;
  std::vector<QueuedJob> jobs;
  for (uint64_t i = 0; i < count; ++i) {
    kernels::RandomStream random(1, kernels::StreamId::kPlan, i);
    const double at = kWeek * random.uniform();
    const uint32_t slots = kSizes[random.below(std::size(kSizes))];
    const double hours = 0.05 * std::exp(5 * random.uniform());  // 3 minutes to 7 hours.
    jobs.push_back(job(at, slots, hours * 3600, random.below(20) == 0 ? 1 : 0));
  }
  return jobs;
}

TEST_CASE("planner, queue: a week of jobs, and nobody is lost") {
  const std::vector<QueuedJob> jobs = week(1000);
  const QueueResult r = run(jobs, 16, 8), again = run(jobs, 16, 8);
  for (size_t i = 0; i < jobs.size(); ++i) {
    CHECK(r.jobs[i].begun >= jobs[i].submitted);
    CHECK(r.jobs[i].ended - r.jobs[i].begun >= doctest::Approx(jobs[i].seconds));
    CHECK(r.jobs[i].ended == again.jobs[i].ended);
  }
  CHECK(r.utilisation > 0.3);
  // Whoever may go first where that delays nobody makes all wait less.
  const QueueResult fifo = pooled_queue(jobs, 128, PooledOrder::kFirstComeFirst);
  const QueueResult easy = pooled_queue(jobs, 128, PooledOrder::kBackfill);
  CHECK(easy.wait_mean < fifo.wait_mean);
  MESSAGE("1,000 jobs, mean wait in hours: queue " << r.wait_mean / 3600 << ", first come "
                                                   << fifo.wait_mean / 3600 << ", backfill "
                                                   << easy.wait_mean / 3600);
}

TEST_CASE("planner, queue: 10,000 jobs of a week on 64 hosts of 8") {
  const std::vector<QueuedJob> jobs = week(10'000);
  const auto begin = std::chrono::steady_clock::now();
  const QueueResult r = run(jobs, 64, 8);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  CHECK(r.utilisation > 0.3);
  CHECK(seconds.count() < 300);
  MESSAGE(seconds.count() << " s; used " << 100 * r.utilisation << " %, mean wait "
                          << r.wait_mean / 3600 << " h");
}

TEST_CASE("simulate command: jobs of a folder take turns, the same bytes each time") {
  const tests::TempDir folder;
  const std::string jobs = std::string(TROUPE_SOURCE_DIR) + "/cluster/jobs/";
  std::filesystem::create_directory(folder.file("jobs"));
  for (const char* name : {"a.toml", "b.toml"}) {
    std::filesystem::copy_file(jobs + "quickstart.toml", folder.file("jobs") + "/" + name);
  }
  const auto run_with = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"simulate",  jobs + "quickstart.toml",
                                          "--cluster", "1x1xcpu",
                                          "--jobs",    folder.file("jobs")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return tests::Process({.arguments = std::move(arguments)}).wait();
  };
  const auto ended = run_with({"--json"});
  REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
  const auto json = nlohmann::json::parse(ended.out);
  REQUIRE(json["jobs"].size() == 3);
  const double hours = json["jobs"][0]["hours"];
  CHECK(hours > 0);
  CHECK(json["jobs"][0]["waited_hours"] == 0);
  CHECK(json["jobs"][2]["waited_hours"].get<double>() == doctest::Approx(2 * hours));
  CHECK(json["utilisation"].get<double>() == doctest::Approx(1));
  CHECK(run_with({"--json"}).out == ended.out);
  // A day apart nobody waits.
  CHECK(nlohmann::json::parse(run_with({"--json", "--apart", "86400"}).out)["wait_mean_hours"] ==
        0);
  CHECK(run_with({}).out.find("first come, first served") != std::string::npos);
  // Recorded ones come when they came.
  tests::write_text(folder.file("recorded.csv"), "submitted,seconds,devices\n0,7200,1\n60,60,1\n");
  const auto recorded = nlohmann::json::parse(
      tests::Process({.arguments = {"simulate", jobs + "quickstart.toml", "--cluster", "1x1xcpu",
                                    "--json", "--jobs", folder.file("recorded.csv")}})
          .wait()
          .out);
  CHECK(recorded["jobs"][1]["waited_hours"].get<double>() == doctest::Approx(7140 / 3600.0));
  CHECK(recorded["jobs"][2]["waited_hours"].get<double>() == doctest::Approx(7200 / 3600.0));
  tests::write_text(folder.file("jobs") + "/c.toml", "nam = \"x\"\n");
  const auto refused = run_with({});
  CHECK(refused.exit_code == 2);
  CHECK(refused.error.find("c.toml:1") != std::string::npos);
}

}  // namespace
}  // namespace troupe::cluster
