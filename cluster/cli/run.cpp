#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cluster/cli/command.h"
#include "cluster/cli/dashboard_option.h"
#include "cluster/cli/interrupt.h"
#include "cluster/cli/outcome.h"
#include "cluster/cli/trusted_verifiers.h"
#include "cluster/daemon/embedded_run.h"
#include "cluster/jobs/job_file.h"
#include "cluster/keys/keys_folder.h"
#include "cluster/monitor/run_view.h"
#include "cluster/monitor/text.h"
#include "kernels/cpu/cpu_backend.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

struct RunCommand {
  std::string job{};
  std::string home{};
  std::vector<std::string> overrides{};
  std::vector<std::string> trusted_verifiers{};
  std::string replays{};
  std::string dashboard{};
  std::string keys = default_keys_folder();
  bool resumes = false;
  bool overwrites = false;
  bool is_json = false;
};

Result<JobState> run(const RunCommand& command) {
  auto trusted = read_trusted_verifiers(command.trusted_verifiers);
  if (!trusted) return trusted.error();
  auto job = load_job(command.job, command.overrides);
  if (!job) return job.error();
  auto backend = kernels::cpu_backend();
  if (!backend) return backend.error();
  watch_for_interrupts();
  const std::string home = command.home.empty() ? "runs/" + job->name : command.home;
  std::FILE* const people = command.is_json ? stderr : stdout;
  auto dashboard = open_dashboard(command.dashboard, command.keys);
  if (!dashboard) return dashboard.error();
  const auto view = make_view(people);
  auto outcome = run_embedded(**backend, *job,
                              {.home = home,
                               .resumes = command.resumes,
                               .overwrites = command.overwrites,
                               .replays = command.replays,
                               .trusted_programs = std::move(*trusted),
                               .is_interrupted = is_interrupted,
                               .dashboard = dashboard->get(),
                               .begins = [&] { print_dashboard(people, dashboard->get()); }},
                              *view);
  if (!outcome) return outcome.error();
  print_bill(people, *outcome);
  if (command.is_json) fmt::print("{}\n", to_text(to_json(*outcome)));
  return outcome->record.state;
}

}  // namespace

nlohmann::ordered_json cost_per_solved_problem(const RunOutcome& outcome) {
  if (outcome.evaluations.empty() || outcome.evaluations.back().metrics.solved == 0) return nullptr;
  return outcome.ledger.money / static_cast<double>(outcome.evaluations.back().metrics.solved);
}

void print_bill(std::FILE* out, const RunOutcome& outcome) {
  const Ledger& ledger = outcome.ledger;
  const auto amount = [](int64_t value) { return count(static_cast<double>(value)); };
  int64_t verdicts = 0;
  for (const auto& [kind, number_of] : ledger.verdicts) verdicts += number_of;
  fmt::print(out,
             "\n{} steps in {:.0f} s, {:.5f} at the job's prices{}\n"
             "  rollout   {:8.1f} core-s   {} tokens, {} of them again\n"
             "  verifier  {:8.1f} core-s   {} verdicts\n"
             "  learner   {:8.1f} core-s   {} tokens, {} steps again\n"
             "  wasted    {:8.1f} core-s   {} workers lost\n",
             outcome.record.steps_done, outcome.seconds, ledger.money,
             cost_per_solved_problem(outcome).is_null()
                 ? ""
                 : fmt::format(", {:.7f} per held-out problem solved",
                               cost_per_solved_problem(outcome).get<double>()),
             ledger.rollout_seconds, amount(ledger.tokens_generated),
             amount(ledger.tokens_regenerated), ledger.verifier_seconds, amount(verdicts),
             ledger.learner_seconds, amount(ledger.tokens_learned), ledger.steps_redone,
             ledger.wasted_seconds, ledger.workers_lost);
}

nlohmann::ordered_json to_json(const RunOutcome& outcome) {
  const Ledger& ledger = outcome.ledger;
  const JobRecord& record = outcome.record;
  return {{"state", record.state == JobState::kPaused ? "stopped" : name(record.state)},
          {"steps", record.steps_done},
          {"weights_sha256", record.weights_sha256},
          {"checkpoint", record.checkpoint},
          {"trajectories",
           {{"generated", ledger.trajectories_generated},
            {"regenerated", ledger.trajectories_regenerated},
            {"learned", ledger.trajectories_learned},
            {"dropped", ledger.trajectories_dropped}}},
          {"ledger",
           {{"tokens_generated", ledger.tokens_generated},
            {"tokens_regenerated", ledger.tokens_regenerated},
            {"tokens_kept", ledger.tokens_kept},
            {"tokens_learned", ledger.tokens_learned},
            {"steps_redone", ledger.steps_redone},
            {"workers_lost", ledger.workers_lost},
            {"verdicts", ledger.verdicts},
            {"rollout_seconds", ledger.rollout_seconds},
            {"verifier_seconds", ledger.verifier_seconds},
            {"learner_seconds", ledger.learner_seconds},
            {"wasted_seconds", ledger.wasted_seconds},
            {"money", ledger.money}}},
          {"cost_per_solved_problem", cost_per_solved_problem(outcome)},
          {"seconds", outcome.seconds}};
}

void add_run(Command& program, int& exit_code) {
  Command command = program.add_command("run", "Run a job on this machine");
  command.footer(
      "Workers are processes of their own; killing any of them, or all, costs time and nothing\n"
      "else. A live view on a terminal, plain lines otherwise. Checkpoints go to "
      "HOME/checkpoints,\n"
      "as Hugging Face folders, metrics to HOME/metrics.jsonl, the history to HOME/replay.\n"
      "Example:\n  troupe run job.toml --set grpo.steps=100 --set resources.threads_per_worker=2");
  auto state = std::make_shared<RunCommand>();
  command.add_option("job", state->job, "The job file").required();
  command.add_option("--home", state->home, "Folder for what the run leaves; default runs/NAME");
  command.add_option("--set", state->overrides, "table.key=value, over what the file says")
      .may_repeat();
  add_trusted_verifier_option(command, state->trusted_verifiers);
  command.add_option("--replay", state->replays,
                     "The home of a finished run of this job that kept its groups: nothing is "
                     "generated, what it learned is learned again, and other weights are an error");
  add_dashboard_option(command, state->dashboard);
  command.add_option("--keys", state->keys,
                     "Whose tokens the dashboard takes where its address is not of this host only; "
                     "default $XDG_CONFIG_HOME/troupe/keys or ~/.config/troupe/keys");
  command.add_flag("--resume", state->resumes,
                   "Go on with the job in HOME; --set grpo.steps=N with a larger N goes on longer");
  command.add_flag("--overwrite", state->overwrites,
                   "Replace the ended job in HOME, checkpoints included");
  command.add_flag("--json", state->is_json, "One JSON object on standard output at the end");
  command.callback([state, &exit_code] {
    const auto ended = run(*state);
    exit_code = !ended ? report("run", ended.error()) : *ended == JobState::kFinished ? 0 : 3;
  });
}

}  // namespace troupe::cluster
