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
  const auto table = job_table(sorted(some_jobs(), JobOrder::kState));
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

RunState some_run() {
  RunState run;
  JobSpec job;
  job.name = "quickstart";
  run.start(job, "", 1000, 0);
  Trace hostile{.prompt = "2+3=?",
                .response = "<think>\x1b[2J\x1b]0;owned\x07 one\r\ntwo\u202e</think>",
                .gold = "5\x1b[H"};
  for (int i = 0; i < 100; ++i) hostile.response += "\nline " + std::to_string(i);
  Trace wide{.prompt = "?", .response = std::string(1 << 20, 'x'), .is_solved = true};
  run.add(EvalMetrics{.version = PolicyVersion{7}, .problems = 2}, {hostile, wide});
  return run;
}

std::string text_of(const TopPage& page) {
  std::string text;
  for (const ViewLine& line : page.lines) text += line.text + "\n";
  return text;
}

void press(TopState& state, char character) { state.press({Pressed::kCharacter, character}); }

TEST_CASE("top_page: every page fits every terminal, and no text drives it") {
  const RunState run = some_run();
  auto many = some_jobs();
  many[2].name = "quick\x1b[2Jstart";
  for (uint64_t id = 6; id < 2000; ++id) many.push_back({.id = id, .name = "job"});
  for (const ViewSize size :
       {ViewSize{80, 23}, {120, 40}, {20, 5}, {7, 2}, {1, 1}, {0, 0}, {-1, -1}}) {
    CAPTURE(size.rows);
    for (const char page : {'1', '2', '3', '4', '?'}) {
      CAPTURE(page);
      TopState state;
      state.list(many);
      state.list(std::vector<HostSummary>(
          50, {.name = "gpu\n\x1b[2J", .state = "up\x07", .tenants = {{.job = 3}}}));
      state.tell("the daemon is away\n\x1b[2J");
      press(state, page);
      for (const RunState* shown : {static_cast<const RunState*>(nullptr), &run}) {
        for (size_t index = 0; index < 3; ++index) {
          const TopPage drawn = render_top(state, shown, size, 1);
          CHECK(drawn.lines.size() == static_cast<size_t>(std::max(size.rows, 0)));
          for (const ViewLine& line : drawn.lines) {
            CHECK(columns_of(line.text) <= std::max(size.columns, 0));
            CHECK(line.text == printable(line.text));
          }
          state.have_traces(shown == nullptr ? 0 : shown->answers.size());
          state.drawn(drawn.rows_shown, drawn.rows);
          press(state, index == 0 ? 'n' : ' ');
        }
      }
    }
  }
}

TEST_CASE("top_page: on 80x24 each page shows what it is for, and the keys below") {
  const RunState run = some_run();
  TopState state;
  state.list(some_jobs());
  state.list(std::vector<HostSummary>{
      {.name = "gpu-7", .state = "up", .slots = 8, .used = 3, .tenants = {{.job = 3}}}});
  state.have_traces(run.answers.size());
  const ViewSize size{80, 23};
  const auto shown = [&] { return text_of(render_top(state, &run, size, 1)); };
  const auto has = [&](const std::string& what) {
    CAPTURE(what);
    CAPTURE(shown());
    CHECK(shown().find(what) != std::string::npos);
  };
  has("5 jobs");
  has("› ");
  has("120/500");
  has("1.0k parameters");
  has("s by state");
  has("q quit\n");
  press(state, '2');
  has("job 3  quickstart  running  120/500 steps");
  has("1.0k parameters");
  press(state, '3');
  has("gpu-7");
  has("s by name");
  press(state, '4');
  has("answer 1 of 2  policy version 7  ✗ wrong");
  has("2+3=?");
  has("<think>·[2J");
  CHECK(shown().find("line 99") == std::string::npos);
  const TopPage page = render_top(state, &run, size, 1);
  state.drawn(page.rows_shown, page.rows);
  state.press({Pressed::kEnd});
  has("line 99");
  has("the right answer: 5·[H");
  press(state, 'n');
  has("answer 2 of 2  policy version 7  ✓ right");
  press(state, '?');
  has("leave; the jobs go on");
  has("Esc back");
}

TEST_CASE("top_page: the chosen job is in sight, however many there are") {
  TopState state;
  std::vector<JobSummary> many;
  for (uint64_t id = 1; id <= 1'000; ++id) {
    many.push_back({.id = id, .name = "job", .state = JobState::kQueued});
  }
  state.list(many);
  for (const uint64_t down : {0, 3, 400, 596}) {
    for (uint64_t i = 0; i < down; ++i) state.press({Pressed::kDown});
    const std::string page = text_of(render_top(state, nullptr, {80, 23}, 1));
    CHECK(page.find("› " + job_table(std::span(state.job(), 1))[1]) != std::string::npos);
  }
  CHECK(state.job()->id == 1'000);
}

TEST_CASE("top_page: without jobs and answers it says what would be there") {
  TopState state;
  const auto shown = [&] { return text_of(render_top(state, nullptr, {80, 23}, 1)); };
  CHECK(shown().find("0 jobs") != std::string::npos);
  press(state, '2');
  CHECK(shown().find("troupe submit JOB.toml") != std::string::npos);
  press(state, '4');
  CHECK(shown().find("eval.every_steps") != std::string::npos);
  state.list(some_jobs());
  press(state, '2');
  CHECK(shown().find("nothing is heard of it yet") != std::string::npos);
}

}  // namespace
}  // namespace troupe::cluster
