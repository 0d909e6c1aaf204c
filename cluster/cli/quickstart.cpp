// troupe quickstart: from random weights to a policy that thinks, on this machine, in minutes.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/cli/command.h"
#include "cluster/cli/dashboard_option.h"
#include "cluster/cli/interrupt.h"
#include "cluster/cli/number_checks.h"
#include "cluster/cli/outcome.h"
#include "cluster/daemon/embedded_run.h"
#include "cluster/jobs/embedded_jobs.h"
#include "cluster/jobs/job_file.h"
#include "cluster/keys/keys_folder.h"
#include "cluster/monitor/run_view.h"
#include "cluster/monitor/text.h"
#include "kernels/cpu/cpu_backend.h"
#include "model/data/arithmetic.h"
#include "model/formats/file.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

struct QuickstartCommand {
  std::string home = "runs/quickstart";
  uint64_t seed = 1;
  std::vector<std::string> overrides{};
  std::string dashboard{};
  bool resumes = false;
  bool overwrites = false;
  bool is_json = false;
};

// How this program can be called again from here.
std::string program_path() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "troupe" : std::filesystem::proximate(path, error).string();
}

std::string percent(const EvalMetrics& m) {
  const auto [low, high] = wilson_interval_95(m.solved, m.problems);
  return fmt::format("{:5.1f} %  [{:.1f}, {:.1f}]", 100 * m.pass_at_1(), 100 * low, 100 * high);
}

void print_traces(std::FILE* out, const char* title, const EvaluationRecord& evaluation) {
  fmt::print(out, "\n{}\n", title);
  for (const auto& trace : evaluation.traces) {
    fmt::print(out, "  {:<12} {}  ({})\n", printable(trace.prompt), printable(trace.response),
               trace.is_solved ? "right" : "wrong, it is " + printable(trace.gold));
  }
}

void print_summary(std::FILE* out, const QuickstartCommand& command, const RunOutcome& outcome) {
  if (outcome.evaluations.size() < 2) return;
  const EvaluationRecord& first = outcome.evaluations.front();
  const EvaluationRecord& last = outcome.evaluations.back();
  fmt::print(out,
             "\nheld-out problems solved, one sample each at temperature {}, 95 % interval\n"
             "  after the cold start      {}\n"
             "  after reinforcement       {}\n",
             first.metrics.temperature, percent(first.metrics), percent(last.metrics));
  print_traces(out, "before", first);
  print_traces(out, "after", last);
  print_bill(out, outcome);
  const double before = first.metrics.thinking_share, after = last.metrics.thinking_share;
  fmt::print(out, "\n{:.0f} % of the responses thought after the cold start, {:.0f} % do now. ",
             100 * before, 100 * after);
  if (last.metrics.pass_at_1() > first.metrics.pass_at_1() + 0.1) {
    fmt::print(out,
               "The demonstrations guessed half of\nthe time and were sometimes wrong; "
               "reinforcement taught the policy that working a problem out\npays, and to make "
               "fewer slips on the way. It taught no new arithmetic: the digit tables are the\n"
               "cold start's.\n");
  } else {
    fmt::print(out, "This run was too short to teach\nmore; it shows that the parts work.\n");
  }
  fmt::print(out,
             "\nNext:\n"
             "  {2} generate --model {0} --prompt '7*4+3+4=?' --temperature 1\n"
             "  {2} eval --model {0} --data {1}/data/held_out.jsonl --temperature 1\n"
             "  {2} run {1}/job.toml --home runs/drop --set grpo.zero_variance_groups=drop\n"
             "  {2} init my-job.toml\n",
             outcome.record.checkpoint, command.home, program_path());
}

Result<JobState> quickstart(const QuickstartCommand& command) {
  auto backend = kernels::cpu_backend();
  if (!backend) return backend.error();
  // Everything that can be refused is, before anything is written.
  const std::string job_path = command.home + "/job.toml";
  std::vector<std::string> overrides{"seed=" + std::to_string(command.seed)};
  overrides.insert(overrides.end(), command.overrides.begin(), command.overrides.end());
  auto job = parse_job(quickstart_job(), job_path, overrides);
  if (!job) return job.error();
  auto dashboard = open_dashboard(command.dashboard, default_keys_folder());
  if (!dashboard) return dashboard.error();
  std::FILE* const people = command.is_json ? stderr : stdout;
  const RunOptions options{.home = command.home,
                           .resumes = command.resumes,
                           .overwrites = command.overwrites,
                           .is_interrupted = is_interrupted,
                           .dashboard = dashboard->get(),
                           .begins = [&] { print_dashboard(people, dashboard->get()); }};
  if (Status status = check_home(options); !status) return status.error();
  std::error_code error;
  std::filesystem::create_directories(command.home, error);
  if (error) {
    return invalid_argument("cannot create " + command.home + ": " + error.message());
  }
  model::ArithmeticOptions data;
  data.seed = command.seed;
  if (Status made = model::make_arithmetic(data, command.home + "/data"); !made) {
    return made.error();
  }
  // The job as it runs, seed and overrides included, with the data beside it.
  JobSpec written = *job;
  written.data.train = "data/train.jsonl";
  written.data.cold_start = {"data/cold_start_clean.jsonl", "data/cold_start_noisy.jsonl"};
  written.data.held_out = "data/held_out.jsonl";
  if (Status s = model::write_file(job_path, to_toml(written)); !s) return s.error();

  watch_for_interrupts();
  RunOutcome outcome;
  {
    const auto view = make_view(people);
    auto ended = run_embedded(**backend, *job, options, *view);
    if (!ended) return ended.error();
    outcome = std::move(*ended);
  }
  print_summary(people, command, outcome);
  if (command.is_json) {
    nlohmann::ordered_json json;
    if (!outcome.evaluations.empty()) {
      const EvalMetrics& first = outcome.evaluations.front().metrics;
      const EvalMetrics& last = outcome.evaluations.back().metrics;
      const auto interval = [](const EvalMetrics& m) {
        const auto [low, high] = wilson_interval_95(m.solved, m.problems);
        return nlohmann::ordered_json{low, high};
      };
      json["cold_start_pass_at_1"] = first.pass_at_1();
      json["cold_start_interval_95"] = interval(first);
      json["final_pass_at_1"] = last.pass_at_1();
      json["final_interval_95"] = interval(last);
      json["problems"] = last.problems;
    }
    json["train_seconds"] = outcome.seconds;
    json["seed"] = command.seed;
    json.update(to_json(outcome));
    fmt::print("{}\n", to_text(json));
  }
  return outcome.record.state;
}

}  // namespace

void add_quickstart(Command& program, int& exit_code) {
  Command command =
      program.add_command("quickstart", "The whole thing on this machine, in minutes");
  command.footer(
      "Makes the data, starts from random weights, imitates mediocre demonstrations, then learns\n"
      "from verdicts. Leaves HOME/job.toml, HOME/data and HOME/checkpoints.\n"
      "Example:\n  troupe quickstart --seed 7");
  auto state = std::make_shared<QuickstartCommand>();
  command.add_option("--home", state->home, "Folder for data, job file and checkpoints")
      .show_default();
  command.add_option("--seed", state->seed, "Of the data, the weights and the samples")
      .check(check_whole_number)
      .show_default();
  command.add_option("--set", state->overrides, "table.key=value, over what the job says")
      .may_repeat();
  add_dashboard_option(command, state->dashboard);
  command.add_flag("--resume", state->resumes, "Go on with an unfinished quickstart in HOME");
  command.add_flag("--overwrite", state->overwrites,
                   "Replace the ended job in HOME, checkpoints included");
  command.add_flag("--json", state->is_json, "One JSON object on standard output at the end");
  command.callback([state, &exit_code] {
    const auto ended = quickstart(*state);
    exit_code = !ended                          ? report("quickstart", ended.error())
                : *ended == JobState::kFinished ? 0
                                                : 3;
  });
}

}  // namespace troupe::cluster
