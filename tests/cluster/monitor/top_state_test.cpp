#include "cluster/monitor/top_state.h"

#include <doctest/doctest.h>

#include <random>
#include <string_view>

namespace troupe::cluster {
namespace {

using Page = TopState::Page;

std::vector<JobSummary> some_jobs() {
  return {{.id = 1, .name = "old", .state = JobState::kFinished, .steps_done = 5, .money = 2},
          {.id = 2, .name = "broken", .state = JobState::kFailed, .steps_done = 7},
          {.id = 3, .name = "now", .state = JobState::kRunning, .steps_done = 6, .money = 1},
          {.id = 4, .name = "next", .state = JobState::kQueued},
          {.id = 5, .name = "later", .state = JobState::kQueued},
          {.id = 6, .name = "stopped", .state = JobState::kPaused}};
}

std::vector<uint64_t> ids(const TopState& state) {
  std::vector<uint64_t> all;
  for (const JobSummary& job : state.jobs()) all.push_back(job.id);
  return all;
}

void press(TopState& state, std::string_view characters) {
  for (const char character : characters) state.press({Pressed::kCharacter, character});
}

TopState with_jobs() {
  TopState state;
  state.list(some_jobs());
  return state;
}

TEST_CASE("top_state: a number opens a page, Enter the job, Escape goes back to the jobs") {
  TopState state = with_jobs();
  CHECK(state.page() == Page::kJobs);
  state.press({Pressed::kEnter});
  CHECK(state.page() == Page::kJob);
  press(state, "3");
  CHECK(state.page() == Page::kHosts);
  CHECK(state.wants_hosts());
  press(state, "4");
  CHECK(state.page() == Page::kTraces);
  CHECK(!state.wants_hosts());
  state.press({Pressed::kEscape});
  CHECK(state.page() == Page::kJobs);
  press(state, "2");
  CHECK(state.page() == Page::kJob);
  press(state, "1");
  CHECK(state.page() == Page::kJobs);
}

TEST_CASE("top_state: help leads back to where one was, and every other key still works there") {
  for (const char page : {'1', '2', '3', '4'}) {
    TopState state = with_jobs();
    press(state, std::string{page});
    const Page before = state.page();
    for (const KeyPress& back : {KeyPress{Pressed::kEscape}, KeyPress{Pressed::kEnter},
                                 KeyPress{Pressed::kCharacter, '?'}}) {
      press(state, "?");
      CHECK(state.page() == Page::kHelp);
      state.press(back);
      CHECK(state.page() == before);
    }
    press(state, "?3");
    CHECK(state.page() == Page::kHosts);
    press(state, "?");
    CHECK(!state.has_quit());
    press(state, "q");
    CHECK(state.has_quit());
  }
}

TEST_CASE("top_state: each order of the jobs, and the chosen one stays chosen") {
  TopState state = with_jobs();
  CHECK(ids(state) == std::vector<uint64_t>{3, 4, 5, 6, 2, 1});
  CHECK(state.job()->id == 3);
  const std::vector<std::pair<JobOrder, std::vector<uint64_t>>> orders = {
      {JobOrder::kId, {1, 2, 3, 4, 5, 6}},
      {JobOrder::kName, {2, 5, 4, 3, 1, 6}},
      {JobOrder::kSteps, {2, 3, 1, 4, 5, 6}},
      {JobOrder::kCost, {1, 3, 2, 4, 5, 6}},
      {JobOrder::kState, {3, 4, 5, 6, 2, 1}}};
  for (const auto& [order, expected] : orders) {
    CAPTURE(name(order));
    press(state, "s");
    CHECK(state.job_order() == order);
    CHECK(ids(state) == expected);
    CHECK(state.job()->id == 3);
    state.list(some_jobs());  // News keep the order.
    CHECK(ids(state) == expected);
  }
}

TEST_CASE("top_state: a job is chosen by going up and down, and stays it when others come and go") {
  TopState state = with_jobs();
  state.drawn(2, 6);
  CHECK(state.job()->id == 3);
  state.press({Pressed::kUp});
  CHECK(state.job()->id == 3);
  state.press({Pressed::kDown});
  CHECK(state.job()->id == 4);
  state.press({Pressed::kPageDown});
  CHECK(state.job()->id == 6);
  state.press({Pressed::kEnd});
  CHECK(state.job()->id == 1);
  press(state, "kk");
  CHECK(state.job()->id == 6);
  state.press({Pressed::kHome});
  CHECK(state.job()->id == 3);
  press(state, "j");
  CHECK(state.job()->id == 4);
  auto jobs = some_jobs();
  jobs[3].state = JobState::kRunning;
  jobs.push_back({.id = 7, .state = JobState::kRunning});
  state.list(jobs);
  CHECK(state.job()->id == 4);
  // On a job's own page the arrows go through the others.
  state.press({Pressed::kEnter});
  state.press({Pressed::kRight});
  CHECK(state.job()->id == 7);
  state.press({Pressed::kLeft});
  CHECK(state.job()->id == 4);
  // One that is gone leaves the one that runs.
  state.list({some_jobs()[2], some_jobs()[4]});
  CHECK(state.job()->id == 3);
  state.list(std::vector<JobSummary>{});
  CHECK(state.job() == nullptr);
  state.press({Pressed::kDown});
  CHECK(!state.followed_job());
}

TEST_CASE("top_state: in the list what runs is followed, elsewhere what was opened") {
  TopState state = with_jobs();
  CHECK(state.followed_job() == 3);
  state.press({Pressed::kEnd});
  CHECK(!state.followed_job());
  press(state, "2");
  CHECK(state.followed_job() == 1);
  press(state, "4");
  CHECK(state.followed_job() == 1);
  press(state, "?");
  CHECK(state.followed_job() == 1);
  press(state, "3");
  CHECK(!state.followed_job());
}

TEST_CASE("top_state: scrolling ends where the text ends, also when it becomes shorter") {
  TopState state = with_jobs();
  press(state, "4");
  state.have_traces(2);
  state.drawn(10, 25);
  state.press({Pressed::kUp});
  CHECK(state.scroll() == 0);
  state.press({Pressed::kPageDown});
  CHECK(state.scroll() == 10);
  press(state, " ");
  CHECK(state.scroll() == 15);
  state.press({Pressed::kDown});
  CHECK(state.scroll() == 15);
  state.press({Pressed::kUp});
  CHECK(state.scroll() == 14);
  state.drawn(10, 12);
  CHECK(state.scroll() == 2);
  state.drawn(10, 3);
  CHECK(state.scroll() == 0);
  state.press({Pressed::kEnd});
  CHECK(state.scroll() == 0);
}

TEST_CASE("top_state: an answer is read on while newer ones come before it") {
  TopState state = with_jobs();
  press(state, "4");
  state.have_traces(3);
  press(state, "nn");
  CHECK(state.trace_index() == 2);
  press(state, "n");
  CHECK(state.trace_index() == 2);
  state.drawn(5, 20);
  press(state, "j");
  press(state, "p");
  CHECK(state.trace_index() == 1);
  CHECK(state.scroll() == 0);
  state.have_traces(6);
  CHECK(state.trace_index() == 4);
  state.have_traces(2);
  CHECK(state.trace_index() == 1);
  state.have_traces(0);
  CHECK(state.trace_index() == 0);
  press(state, "np");
  CHECK(state.trace_index() == 0);
}

TEST_CASE("top_state: hosts in each order") {
  TopState state = with_jobs();
  state.list(std::vector<HostSummary>{{.name = "b", .state = "up", .used = 3},
                                      {.name = "a", .state = "up", .used = 1},
                                      {.name = "c", .state = "away", .used = 2}});
  const auto names = [&] {
    std::string all;
    for (const HostSummary& host : state.hosts()) all += host.name;
    return all;
  };
  press(state, "3");
  CHECK(names() == "abc");
  press(state, "s");
  CHECK(names() == "cab");
  press(state, "s");
  CHECK(names() == "bca");
  press(state, "s");
  CHECK(names() == "abc");
}

TEST_CASE("top_state: a redraw is asked for once") {
  TopState state;
  CHECK(!state.takes_redraw());
  state.press({Pressed::kRedraw});
  CHECK(state.takes_redraw());
  CHECK(!state.takes_redraw());
}

TEST_CASE("top_state: whatever is pressed and told in whatever order, it holds together") {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random(seed);
    TopState state;
    size_t traces = 0;
    for (int i = 0; i < 300; ++i) {
      switch (random() % 6) {
        case 0: {
          auto jobs = some_jobs();
          jobs.resize(random() % (jobs.size() + 1));
          for (JobSummary& job : jobs) job.state = static_cast<JobState>(random() % 6);
          state.list(std::move(jobs));
          break;
        }
        case 1:
          state.have_traces(traces = random() % 30);
          break;
        case 2:
          state.drawn(random() % 30, random() % 60);
          break;
        default: {
          const auto kind = static_cast<Pressed>(random() % 12);
          const char letter = "1234?kjnps x"[random() % 12];
          state.press({kind, kind == Pressed::kCharacter ? letter : '\0'});
        }
      }
      CHECK((state.job() == nullptr) == state.jobs().empty());
      CHECK((traces == 0 || state.trace_index() < traces || state.page() != Page::kTraces));
      if (const auto followed = state.followed_job()) CHECK(state.job()->id == *followed);
      CHECK(!state.has_quit());
    }
  }
}

}  // namespace
}  // namespace troupe::cluster
