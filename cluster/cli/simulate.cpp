// `troupe simulate`: a job's run on a cluster that need not be there, event by event.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cluster/cli/command.h"
#include "cluster/cli/planning.h"
#include "cluster/cli/simulate_jobs.h"
#include "cluster/planner/simulation_text.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

struct SimulateCommand {
  PlanningQuestion question{};
  int64_t token_scale = 0;
  int64_t rounds = 0;
  std::string svg{};
  std::string trace{};
  bool has_failures = false;
  std::string jobs{};
  int64_t apart_seconds = 0;
  bool is_json = false;
};

Status write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.flush();
  if (file) return ok();
  return invalid_argument(fmt::format("{}: cannot be written", path));
}

Status print_simulation(const SimulateCommand& command) {
  const PlanningQuestion& question = command.question;
  if (!command.jobs.empty()) {
    return print_queue(question, {.jobs = command.jobs,
                                  .apart_seconds = static_cast<double>(command.apart_seconds),
                                  .is_json = command.is_json});
  }
  const auto subject = read_subject(question);
  if (!subject) return subject.error();
  const auto plan = make_plan(
      *subject, {.draws = question.draws, .seed = question.seed, .width = question.width});
  if (!plan) return plan.error();
  const PlanLayout& layout = plan->layouts.front();
  if (!plan->fits()) {
    return invalid_argument(
        fmt::format("{}: does not fit {}: {:.1f} GB are short on each device; see troupe plan",
                    question.job, question.cluster, layout.short_by() / 1e9));
  }
  SimulationOptions options{.seed = question.seed,
                            .token_scale = command.token_scale,
                            .rounds = command.rounds,
                            .has_failures = command.has_failures,
                            .keeps_spans = !command.svg.empty() || !command.trace.empty()};
  const bool shows_progress = ::isatty(STDERR_FILENO) == 1;
  if (shows_progress) {
    options.progress = [](int64_t done, int64_t total) {
      fmt::print(stderr, "\rround {} of {}", done, total);
    };
  }
  const DrawnInputs medians = draw_inputs(*subject, question.seed, 0);
  auto result = simulate_job(*subject, medians, layout, options);
  if (shows_progress) fmt::print(stderr, "\n");
  if (!result) return result.error();
  SimulatedJob job{.result = *std::move(result)};
  SimulationResult& r = job.result;
  r.other_hours = plan->at_medians.sft + plan->at_medians.evaluation +
                  (command.has_failures ? 0 : plan->at_medians.failures);
  r.hours += r.other_hours;
  const double ratio = r.hours / plan->at_medians.total;
  job.hours = {plan->hours.low * ratio, r.hours, plan->hours.high * ratio};
  job.cost = r.hours * subject->price_per_hour() * static_cast<double>(subject->cluster.devices());
  if (!command.svg.empty()) {
    if (Status written = write_file(command.svg, to_svg(r)); !written) return written;
  }
  if (!command.trace.empty()) {
    if (Status written = write_file(command.trace, to_chrome_trace(r)); !written) return written;
  }
  if (command.is_json) return print_line(to_text(to_json(*subject, layout, job)));
  std::fputs(to_page(*subject, layout, job).c_str(), stdout);
  return ok();
}

}  // namespace

void add_simulate(Command& program, int& exit_code) {
  Command command = program.add_command(
      "simulate", "Run the scheduler and a job's controller over modelled devices");
  const auto state = std::make_shared<SimulateCommand>();
  add_planning_options(command, state->question);
  command
      .add_option("--rounds", state->rounds,
                  "Simulate so many, evenly over the job, for all; default: all of them")
      .range<int64_t>(1, 100'000'000);
  command
      .add_option("--token-scale", state->token_scale,
                  "One token in messages stands for so many; default: so that the longest has 32")
      .range<int64_t>(1, 1 << 20);
  command.add_flag("--failures", state->has_failures, "Devices fail as often as their table says");
  command.add_option("--svg", state->svg, "A picture of some rounds to this file");
  command.add_option("--trace", state->trace, "All rounds to this file, for Perfetto");
  command.add_option("--jobs", state->jobs,
                     "Jobs that come before this one on the same cluster: a folder of job files, "
                     "or a CSV file with submitted,seconds,devices; who waits, and for how long");
  command.add_option("--apart", state->apart_seconds, "Seconds from one of these jobs to the next")
      .show_default()
      .range<int64_t>(0, 1'000'000'000);
  command.add_flag("--json", state->is_json, "One JSON object");
  command.footer(
      "The queue, the controller and the pool of workers are those that run jobs; only the "
      "workers\n"
      "are played, at the medians of the tables and with lengths drawn one by one. The range is "
      "the\n"
      "plan's, in the ratio of the two. The same seed gives the same bytes.\n"
      "Example:\n  troupe simulate cluster/jobs/r1-zero.toml --cluster 64x8xH800 --rounds 12\n"
      "  troupe simulate cluster/jobs/r1-zero.toml --cluster 64x8xH800 --schedule pipelined:1 "
      "--svg run.svg");
  command.callback([state, &exit_code] {
    const Status done = print_simulation(*state);
    exit_code = done ? 0 : report("simulate", done.error());
  });
}

}  // namespace troupe::cluster
