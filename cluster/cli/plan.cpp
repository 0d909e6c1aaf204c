// `troupe plan`: what a job would be on a cluster that need not be there.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cluster/cli/command.h"
#include "cluster/jobs/job_file.h"
#include "cluster/planner/plan_text.h"
#include "model/formats/file.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

constexpr size_t kTableBytesMax = 1 << 24;

struct PlanCommand {
  std::string job{};
  std::vector<std::string> overrides{};
  std::string cluster{};
  std::string engine{};
  std::string lengths{};
  std::vector<std::string> tables{};
  int draws = 400;
  uint64_t seed = 1;
  bool is_json = false;
};

Status print_plan(const PlanCommand& command) {
  PlannerTables tables = builtin_tables();
  for (const std::string& path : command.tables) {
    const auto text = model::read_file(path, kTableBytesMax);
    if (!text) return text.error();
    if (Status read = read_tables(*text, path, tables); !read) return read;
  }
  const auto job = load_job(command.job, command.overrides);
  if (!job) return job.error();
  const auto subject = find_subject(*job, command.cluster, command.engine, command.lengths, tables);
  if (!subject) return subject.error();
  const auto plan = make_plan(*subject, {.draws = command.draws, .seed = command.seed});
  if (!plan) return plan.error();
  if (command.is_json) return print_line(to_text(to_json(*subject, *plan)));
  std::fputs(to_page(*subject, *plan).c_str(), stdout);
  return ok();
}

}  // namespace

void add_plan(Command& program, int& exit_code) {
  Command command = program.add_command(
      "plan", "Whether a job fits a cluster, how long it takes and what it costs");
  const auto state = std::make_shared<PlanCommand>();
  command.add_option("job", state->job, "The job file").required();
  command
      .add_option("--cluster", state->cluster,
                  "HOSTSxDEVICESxNAME: 64x8xH800; H100, H200, A100 or cpu")
      .required();
  command.add_option("--set", state->overrides, "table.key=value, over what the job says")
      .may_repeat();
  command.add_option("--lengths", state->lengths,
                     "Of responses: r1-zero, r1, mean=8000,p99=40000, a file.toml, or the "
                     "metrics.jsonl of a run; default: the job's name, else assumed");
  command.add_option("--engine", state->engine,
                     "How the policy is computed: deepseek, troupe; default: the model's own");
  command.add_option("--tables", state->tables, "A TOML file over the tables of the program")
      .may_repeat();
  command.add_option("--draws", state->draws, "Of what is uncertain, for the range")
      .show_default()
      .range(10, 100'000);
  command.add_option("--seed", state->seed, "Of the draws").show_default();
  command.add_flag("--json", state->is_json, "One JSON object");
  command.footer(
      "Nothing is started and no device is needed. The range is 5 to 95 % of what follows when\n"
      "every number that is not known exactly is drawn; its source stands beside it in\n"
      "cluster/planner/tables/*.toml. What does not fit is told with by how much, and exit code "
      "0.\n"
      "Example:\n  troupe plan cluster/jobs/r1-zero.toml --cluster 64x8xH800\n"
      "  troupe plan job.toml --cluster 2x8xH100 --lengths mean=3000,p99=16000 --json");
  command.callback([state, &exit_code] {
    const Status done = print_plan(*state);
    exit_code = done ? 0 : report("plan", done.error());
  });
}

}  // namespace troupe::cluster
