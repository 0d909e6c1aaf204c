// `troupe plan`: what a job would be on a cluster that need not be there.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cluster/cli/command.h"
#include "cluster/cli/planning.h"
#include "cluster/planner/plan_text.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

struct PlanCommand {
  PlanningQuestion question{};
  bool is_json = false;
};

Status print_plan(const PlanCommand& command) {
  const PlanningQuestion& question = command.question;
  const auto subject = read_subject(question);
  if (!subject) return subject.error();
  const auto plan = make_plan(
      *subject, {.draws = question.draws, .seed = question.seed, .width = question.width});
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
  add_planning_options(command, state->question);
  command.add_flag("--json", state->is_json, "One JSON object");
  command.footer(
      "Nothing is started and no device is needed. The layout is the planner's: of [resources] "
      "only\n"
      "placement counts, and of [learner] how many ranks its lanes let there be. The range is 5 to "
      "95 % of what follows when\n"
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
