#include "cluster/monitor/run_view.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "cluster/monitor/text.h"
#include "tests/support/text.h"

namespace troupe::cluster {
namespace {

// A FILE that collects what is written.
class Written {
 public:
  Written() : file_(open_memstream(&text_, &size_)) {}
  ~Written() {
    std::fclose(file_);
    std::free(text_);
  }
  Written(const Written&) = delete;
  Written& operator=(const Written&) = delete;

  std::FILE* file() { return file_; }
  std::string text() {
    std::fflush(file_);
    return {text_, size_};
  }

 private:
  char* text_ = nullptr;
  size_t size_ = 0;
  std::FILE* file_;
};

StepMetrics grpo_step(int64_t step) {
  return {.stage = Stage::kGrpo,
          .version = PolicyVersion{300 + static_cast<uint64_t>(step)},
          .stage_step = step,
          .stage_steps = 200,
          .loss = 0.01,
          .grad_norm = 0.5,
          .tokens_learned = 20'000,
          .reward_mean = 0.8,
          .reward_std = 0.3,
          .accuracy = 0.3 + 0.003 * static_cast<double>(step),
          .format_share = 0.98,
          .thinking_share = 0.97,
          .response_length_mean = 41.25,
          .response_length_clipped = 0.02,
          .frac_reward_zero_std = 0.25,
          .entropy = 0.42,
          .kl = 0.00123,
          .clip_fraction = 0.0312,
          .generate_seconds = 2,
          .learn_seconds = 2,
          .tokens_generated = 24'000};
}

RunState busy_state() {
  RunState state;
  JobSpec job;
  job.name = "quickstart";
  state.start(job, "abc", 750'000, 0);
  for (int64_t step = 1; step <= 120; ++step) {
    state.add(grpo_step(step), static_cast<double>(step));
  }
  state.add({.version = PolicyVersion{300}, .problems = 500, .solved = 150}, {});
  state.add({.version = PolicyVersion{420}, .problems = 500, .solved = 370},
            {{"7*4+3+4=?", "<think>8+3+4=1+4=5</think>\n<answer>5</answer>\x1b[2J", "5", true}});
  state.note("checkpoint at step 120");
  state.progress("generating", 3, 64);
  return state;
}

WorkerStatus worker(uint32_t slot, const char* activity, bool is_ready = true) {
  return {.slot = slot,
          .roles = slot % 2 == 0 ? "rollout+learner" : "verifier",
          .activity = activity,
          .pid = 1000 + slot,
          .epoch = 1,
          .is_ready = is_ready};
}

RunSample busy_sample() {
  RunSample sample{.groups_waiting = 12,
                   .groups_generating = 64,
                   .groups_judging = 3,
                   .groups_committing = 2,
                   .steps_learning = 1,
                   .rollout_busy_share = 0.85,
                   .verifier_busy_share = 0.12,
                   .learner_busy_share = 0.4,
                   .verdicts_per_second = 85.4};
  sample.workers = {worker(0, "generating 64 groups"), worker(1, "idle"),
                    worker(2, "starting", false), worker(3, "judging 3 groups")};
  sample.ledger = {.tokens_generated = 1'200'000,
                   .tokens_regenerated = 12'000,
                   .tokens_learned = 900'000,
                   .trajectories_dropped = {{"infra_error", 16}},
                   .verdicts = {{"different", 74}, {"equal", 812}},
                   .steps_redone = 3,
                   .workers_lost = 2,
                   .rollout_seconds = 1234,
                   .verifier_seconds = 56,
                   .learner_seconds = 789,
                   .money = 0.0231};
  return sample;
}

RunState sampled_state() {
  RunState state = busy_state();
  state.note("worker 2 is lost: killed by signal 9; its 3 groups go to others");
  state.sample(busy_sample());
  return state;
}

std::string all_of(const std::vector<ViewLine>& lines) {
  std::string text;
  for (const ViewLine& line : lines) text += line.text + "\n";
  return text;
}

TEST_CASE("run_view: ranks of a learner are told apart, with what moves between them") {
  RunState state = busy_state();
  RunSample sample = busy_sample();
  for (uint32_t rank = 0; rank < 4; ++rank) {
    WorkerStatus one = worker(
        rank, rank == 3 ? "learning step 7 (all_to_all, waits for worker 1)" : "learning step 7");
    one.roles = "learner";
    one.rank = rank;
    one.num_ranks = 4;
    one.team_bytes = 300'000'000;
    if (rank < sample.workers.size()) sample.workers[rank] = one;
  }
  state.sample(sample);
  const std::string page = all_of(render(state, {.columns = 120, .rows = 40}, 60));
  CHECK(page.find("learner of 4 ranks, 1.20GB moved") != std::string::npos);
  CHECK(page.find("3  learner rank 3 of 4  learning step 7 (all_to_all, waits for worker 1)") !=
        std::string::npos);
  CHECK(all_of(render(sampled_state(), {.columns = 120, .rows = 40}, 60)).find("ranks") ==
        std::string::npos);
}

TEST_CASE("run_view: no page is larger than its terminal") {
  RunState crowd = sampled_state();
  RunSample sample = busy_sample();
  for (uint32_t slot = 4; slot < 2000; ++slot) sample.workers.push_back(worker(slot, "idle"));
  crowd.sample(sample);
  for (const RunState& state : {RunState{}, busy_state(), sampled_state(), crowd}) {
    for (const ViewSize size :
         {ViewSize{80, 24}, {120, 40}, {20, 5}, {7, 2}, {1, 1}, {0, 0}, {-1, -1}, {300, 90}}) {
      CAPTURE(size.columns);
      const auto lines = render(state, size, 130);
      CHECK(lines.size() <= static_cast<size_t>(std::max(size.rows, 0)));
      for (const ViewLine& line : lines) {
        CHECK(columns_of(line.text) <= std::max(size.columns, 0));
        CHECK(line.text.find_first_of("\n\x1b") == std::string::npos);
      }
    }
  }
}

TEST_CASE("run_view: 80x24 shows everything that is watched") {
  const std::string page = all_of(render(busy_state(), {80, 24}, 130));
  CAPTURE(page);
  for (const char* part : {"quickstart",
                           "750.0k parameters",
                           "2:10",
                           "grpo",
                           "120/200",
                           "1:20 left",
                           "generating 3/64",
                           "pass@1      0.740 [0.700, 0.777] of 500",
                           "began at 0.300",
                           "0.800 ± 0.300",
                           "accuracy 66 %",
                           "41.2 tokens",
                           "cut 2 %",
                           "thinking 97 %",
                           "entropy 0.420",
                           "groups with variance 75 %",
                           "KL 0.00123",
                           "clip fraction 0.0312",
                           "learner 10.0k",
                           "rollout 12.0k",
                           "checkpoint at step 120",
                           "✓ 7*4+3+4=?",
                           "<think>8+3+4=1+4=5</think>⏎<answer>5</answer>·[2J"}) {
    CAPTURE(part);
    CHECK(page.find(part) != std::string::npos);
  }
}

TEST_CASE("run_view: a larger terminal gets a taller curve, a tiny one keeps the progress") {
  const auto curve_lines = [](ViewSize size) {
    int found = 0;
    for (const ViewLine& line : render(busy_state(), size, 130)) {
      found += line.tone == Tone::kCurve;
    }
    return found;
  };
  CHECK(curve_lines({120, 40}) > curve_lines({80, 24}));
  CHECK(curve_lines({80, 24}) >= 3);
  CHECK(curve_lines({20, 5}) == 0);
  CHECK(all_of(render(busy_state(), {20, 5}, 130)).find("120/") != std::string::npos);
}

TEST_CASE("run_view: parts that are a matter of degree have a line, others have none") {
  RunState state = busy_state();
  StepMetrics step = grpo_step(121);
  step.reward_values = {{"accuracy", 0.5}, {"brevity", 0.25}, {"\x1b[2J", 0.75}};
  step.verdicts = {{"accuracy/equal", 8}, {"brevity/scored", 16}, {"\x1b[2J/scored", 16}};
  state.add(step, 121);
  const std::string page = all_of(render(state, {100, 40}, 130));
  CAPTURE(page);
  CHECK(page.find("scores") != std::string::npos);
  CHECK(page.find("brevity 0.250") != std::string::npos);
  CHECK(page.find("accuracy 0.500") == std::string::npos);
  CHECK(page.find('\x1b') == std::string::npos);
}

TEST_CASE("run_view: 80x24 shows the workers, the queues and the bill beside the run") {
  // A terminal of 24 rows has 23 for the page.
  const std::string page = all_of(render(sampled_state(), {80, 23}, 130));
  CAPTURE(page);
  for (const char* part :
       {"120/200", "1:20 left", "pass@1      0.740", "accuracy of the responses, by step",
        "accuracy 66 %", "entropy 0.420", "KL 0.00123", "verdicts/s 85",
        "busy        rollout 85 %   verifier 12 %   learner 40 %",
        "waiting 12   generating 64   judging 3   committing 2   learning 1",
        "verdicts    equal 812   different 74",
        "generated 1.20M   regenerated 12.0k   learned 900.0k",
        "cost        0.0231   core-s rollout 1.2k   verifier 56   learner 789",
        "lost        workers 2   steps redone 3   dropped: infra_error 16",
        "2 busy   1 not ready   of 4   rollout+learner 2   verifier 2",
        "2  rollout+learner  starting (not ready)", "0  rollout+learner  generating 64 groups",
        "worker 2 is lost: killed by signal 9"}) {
    CAPTURE(part);
    CHECK(page.find(part) != std::string::npos);
  }
  CHECK(page.find("1  verifier") == std::string::npos);  // Idle: the last to be shown.
}

TEST_CASE("run_view: more rows show more workers, those that wait for nothing last") {
  RunState state = sampled_state();
  RunSample sample = busy_sample();
  for (uint32_t slot = 4; slot < 100; ++slot) {
    sample.workers.push_back(worker(slot, slot == 99 ? "judging" : "idle"));
  }
  state.sample(sample);
  const auto shown = [&state](int rows) {
    const std::string page = all_of(render(state, {100, rows}, 130));
    return tests::count_of(page, "  rollout+learner  ") +
           tests::count_of(page, "  verifier         ");
  };
  CHECK(shown(23) >= 2);
  CHECK(shown(40) > shown(23));
  CHECK(shown(80) > shown(40));
  CHECK(shown(200) == 100);
  CHECK(all_of(render(state, {100, 40}, 130)).find("99  verifier         judging") !=
        std::string::npos);
}

TEST_CASE("run_view: what a worker says of itself cannot drive the terminal or fill the page") {
  RunState state;
  RunSample sample;
  sample.workers = {{.slot = 7,
                     .roles = "ver\x1b[31mifier",
                     .activity = "\x1b]0;owned\x07\n\n" + std::string(100'000, 'x'),
                     .is_ready = true}};
  sample.ledger.verdicts = {{"eq\x1b[2Jual", 3}};
  sample.ledger.trajectories_dropped = {{"in\x07fra", 1}};
  state.sample(sample);
  for (const int columns : {80, 100'000}) {
    const auto lines = render(state, {columns, 40}, 1);
    for (const ViewLine& line : lines) {
      CHECK(line.text.find_first_of("\n\x1b\x07") == std::string::npos);
      CHECK(line.text.size() < 1000);
    }
    CHECK(all_of(lines).find("ver·[31mifier") != std::string::npos);
    CHECK(all_of(lines).find("eq·[2Jual 3") != std::string::npos);
  }
}

TEST_CASE("run_view: the time left is the job's, or says which part it leaves out") {
  JobSpec job;
  job.grpo.steps = 400;
  RunState state;
  state.start(job, "", 1, 0);
  state.add({.stage = Stage::kSft, .stage_step = 1, .stage_steps = 10}, 1);
  state.add({.stage = Stage::kSft, .stage_step = 5, .stage_steps = 10}, 5);
  CHECK(all_of(render(state, {80, 24}, 5)).find("0:05 left, then 400 of grpo") !=
        std::string::npos);
  state.grpo_steps = 0;
  CHECK(all_of(render(state, {80, 24}, 5)).find("0:05 left\n") != std::string::npos);
  CHECK(all_of(render(busy_state(), {80, 24}, 130)).find("1:20 left\n") != std::string::npos);
}

TEST_CASE("run_view: a page of a large cluster takes less time than its redraw may") {
  RunState state = sampled_state();
  RunSample sample = busy_sample();
  for (uint32_t slot = 4; slot < 500; ++slot) sample.workers.push_back(worker(slot, "generating"));
  state.sample(sample);
  constexpr int kPages = 200;
  for (const ViewSize size : {ViewSize{80, 23}, {200, 60}}) {
    const double began = monotonic_seconds();
    size_t shown = 0;
    for (int i = 0; i < kPages; ++i) shown += render(state, size, 130).size();
    const double per_page = (monotonic_seconds() - began) / kPages;
    CHECK(shown == static_cast<size_t>(kPages * size.rows));
    CHECK(per_page < 1.0 / 8);
    MESSAGE(size.columns << "x" << size.rows << ", 500 workers: " << 1e6 * per_page
                         << " us a page");
  }
}

TEST_CASE("run_view: the supervised stage shows its loss") {
  RunState state;
  state.start({}, "", 1, 0);
  state.add({.stage = Stage::kSft, .stage_step = 1, .stage_steps = 10, .loss = 4.5}, 1);
  const std::string page = all_of(render(state, {80, 24}, 2));
  CHECK(page.find("loss        4.5000") != std::string::npos);
  CHECK(page.find("loss, by step") != std::string::npos);
  CHECK(page.find("reward") == std::string::npos);
}

TEST_CASE("run_state: the time left follows the pace of the stage, evaluations included") {
  RunState state;
  state.start({}, "", 1, 0);
  CHECK_FALSE(state.stage_seconds_left());
  state.add(grpo_step(100), 50);  // Resumed in the middle.
  CHECK_FALSE(state.stage_seconds_left());
  state.add(grpo_step(110), 70);
  CHECK(*state.stage_seconds_left() == doctest::Approx(180));
}

TEST_CASE("run_state: a series of any length stays bounded and keeps its mean") {
  Series series;
  for (int i = 0; i < 100'000; ++i) series.add(i < 50'000 ? 0 : 1);
  CHECK(series.values().size() < Series::kValuesMax);
  double sum = 0;
  for (float value : series.values()) sum += value;
  CHECK(sum / static_cast<double>(series.values().size()) == doctest::Approx(0.5).epsilon(0.01));
}

TEST_CASE("terminal_view: redraws at most 8 times a second and always shows the end") {
  Written out;
  double now = 0;
  {
    TerminalView view(
        out.file(),
        {.has_colours = false, .now = [&now] { return now; }, .size = [] { return ViewSize{}; }});
    view.run_started({}, "", 1);
    for (int64_t step = 1; step <= 200; ++step) {
      now += 0.01;
      view.step_committed(grpo_step(step));
    }
    CHECK(tests::count_of(out.text(), "\x1b[?25l") <= 17);
    view.run_ended({}, "done", "");
  }
  const std::string text = out.text();
  CHECK(text.rfind("200/200") > text.rfind("\x1b[?25l"));
  CHECK(text.rfind("done") > text.rfind("\x1b[?25l"));
}

TEST_CASE("terminal_view: the cursor is visible between redraws and colours are optional") {
  for (const bool has_colours : {false, true}) {
    Written out;
    {
      TerminalView view(out.file(), {.has_colours = has_colours,
                                     .now = [] { return 0.0; },
                                     .size = [] { return ViewSize{}; }});
      view.run_started({}, "", 1);
      const std::string text = out.text();
      CHECK(text.substr(text.size() - 6) == "\x1b[?25h");
      view.noted("kept for the last redraw");
    }
    const std::string text = out.text();
    CHECK(text.find("kept for the last redraw") != std::string::npos);
    CHECK(text.substr(text.size() - 6) == "\x1b[?25h");
    CHECK((text.find("\x1b[1m") != std::string::npos) == has_colours);
  }
}

TEST_CASE("terminal_view: a new size is followed at the next redraw") {
  Written out;
  double now = 0;
  ViewSize size{80, 24};
  TerminalView view(
      out.file(),
      {.has_colours = false, .now = [&now] { return now; }, .size = [&size] { return size; }});
  view.run_started({}, "", 1);
  CHECK(out.text().find("\x1b[2J") == std::string::npos);
  size = {40, 10};
  now = 1;
  view.noted("resized");
  CHECK(tests::count_of(out.text(), "\x1b[2J") == 1);
  now = 2;
  view.noted("same size");
  CHECK(tests::count_of(out.text(), "\x1b[2J") == 1);
}

TEST_CASE("plain_view: a line per evaluation and note, steps every few seconds") {
  Written out;
  double now = 100;
  PlainView view(out.file(), [&now] { return now; });
  view.run_started({}, "0123456789abcdef", 750'000);
  for (int64_t step = 1; step <= 200; ++step) {
    now += 0.1;
    view.step_committed(grpo_step(step));
  }
  view.evaluated({.version = PolicyVersion{500}, .problems = 500, .solved = 370}, {});
  view.noted("a note\nwith a line break");
  view.run_ended({.tokens_generated = 12}, "done", "fff");
  const std::string text = out.text();
  CAPTURE(text);
  // The job's line, the first and last step, every 5 s.
  CHECK(tests::count_of(text, "grpo ") <= 7);
  CHECK(tests::count_of(text, "grpo ") >= 5);
  CHECK(text.find("grpo 200/200") != std::string::npos);
  CHECK(text.find("pass@1 0.740 [0.700, 0.777]") != std::string::npos);
  CHECK(text.find("a note⏎with a line break\n") != std::string::npos);
  CHECK(text.find("done: 12 tokens generated") != std::string::npos);
  CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("plain_view: a line about the workers every quarter of a minute") {
  Written out;
  double now = 0;
  PlainView view(out.file(), [&now] { return now; });
  view.run_started({}, "", 1);
  for (; now <= 60; now += 0.5) view.sampled(busy_sample());
  const std::string text = out.text();
  CAPTURE(text);
  CHECK(tests::count_of(text, "workers 3 of 4 ready") == 4);
  CHECK(text.find("busy rollout 85 %   verifier 12 %   learner 40 %   waiting 12") !=
        std::string::npos);
  CHECK(text.find("cost 0.0231") != std::string::npos);
}

TEST_CASE("make_view: a file is no terminal") {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  CHECK(dynamic_cast<PlainView*>(make_view(file).get()) != nullptr);
  std::fclose(file);
}

TEST_CASE("text: what a model wrote cannot drive the terminal") {
  CHECK(printable("a\x1b[31mb\x07") == "a·[31mb·");
  CHECK(printable("\xff\xc3(é") == "\xef\xbf\xbd\xef\xbf\xbd(é");
  CHECK(printable("a\xe2\x80\xae"
                  "b") == "a·b");  // Right-to-left override.
  CHECK(printable("\xed\xa0\x80").find("\xed") == std::string::npos);
}

TEST_CASE("text: widths count columns, not bytes") {
  CHECK(columns_of("é漢x") == 4);
  CHECK(fit("漢漢漢", 4) == "漢…");
  CHECK(fit("abc", 3) == "abc");
  CHECK(fit("abcd", 3) == "ab…");
  CHECK(fit("abcd", 0).empty());
  CHECK(bar(0.5, 4) == "██░░");
  CHECK(bar(7, 2) == "██");
}

TEST_CASE("text: durations and counts read like people write them") {
  CHECK(duration(7.4) == "0:07");
  CHECK(duration(754) == "12:34");
  CHECK(duration(3723) == "1:02:03");
  CHECK(duration(-1) == "-");
  CHECK(count(950) == "950");
  CHECK(count(12'300) == "12.3k");
  CHECK(count(4'560'000) == "4.56M");
}

TEST_CASE("text: a curve rises where its values rise") {
  const std::vector<float> values = {0, 1};
  const auto lines = curve(values, 1, 1, 0, 1);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0] == "⣸");  // Bottom left, then up the right side.
  CHECK(curve({}, 3, 2, 0, 1) == std::vector<std::string>{"   ", "   "});
}

}  // namespace
}  // namespace troupe::cluster
