#include "cluster/monitor/top_page.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "cluster/monitor/text.h"

namespace troupe::cluster {
namespace {

std::vector<JobSummary> some_jobs() {
  return {{.id = 1, .name = "old", .state = JobState::kFinished, .steps_done = 5, .steps_total = 5},
          {.id = 2, .name = "broken", .state = JobState::kFailed, .message = "disk\x1b[2J full"},
          {.id = 3,
           .name = "quickstart",
           .state = JobState::kRunning,
           .steps_done = 120,
           .steps_total = 500,
           .money = 0.25},
          {.id = 4, .name = "next", .state = JobState::kQueued},
          {.id = 5, .name = "later", .state = JobState::kQueued}};
}

TEST_CASE("top_page: what runs comes first, then the queue, then the newest of the rest") {
  const auto table = job_table(some_jobs());
  REQUIRE(table.size() == 6);
  CHECK(table[1].find("     3  quickstart  running          120/500      0.2500") == 0);
  CHECK(table[2].find("next") != std::string::npos);
  CHECK(table[3].find("later") != std::string::npos);
  CHECK(table[4].find("disk·[2J full") != std::string::npos);
  CHECK(table[5].find("finished") != std::string::npos);
}

TEST_CASE("top_page: whose a job is is told where somebody owns one") {
  auto jobs = some_jobs();
  CHECK(job_table(jobs)[0].find("OWNER") == std::string::npos);
  jobs[0].owner = "alice\x1b[2J";
  const auto table = job_table(jobs);
  CHECK(table[0].find("    ID  OWNER") == 0);
  size_t named = 0;
  for (const std::string& line : table) {
    CHECK(line.find('\x1b') == std::string::npos);
    named += line.find("alice·[2J") != std::string::npos;
  }
  CHECK(named == 1);
}

TEST_CASE("top_page: fits every terminal and shows table and run on 80x24") {
  RunState run;
  JobSpec job;
  job.name = "quickstart";
  run.start(job, "", 1000, 0);
  auto many = some_jobs();
  for (uint64_t id = 6; id < 2000; ++id) many.push_back({.id = id, .name = "job"});
  for (const ViewSize size :
       {ViewSize{80, 23}, {120, 40}, {20, 5}, {7, 2}, {1, 1}, {0, 0}, {-1, -1}}) {
    CAPTURE(size.rows);
    for (const RunState* shown : {static_cast<const RunState*>(nullptr), &std::as_const(run)}) {
      const auto lines = render_top(many, shown, "the daemon is away\n", size, 1);
      CHECK(lines.size() <= static_cast<size_t>(std::max(size.rows, 0)));
      for (const ViewLine& line : lines) {
        CHECK(columns_of(line.text) <= std::max(size.columns, 0));
        CHECK(line.text.find('\n') == std::string::npos);
      }
    }
  }
  std::string page;
  for (const ViewLine& line : render_top(many, &run, "", {80, 23}, 1)) page += line.text + "\n";
  CHECK(page.find("1999 jobs") != std::string::npos);
  CHECK(page.find("120/500") != std::string::npos);
  CHECK(page.find("1.0k parameters") != std::string::npos);
}

}  // namespace
}  // namespace troupe::cluster
