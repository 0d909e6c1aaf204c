#include "cluster/cli/planning.h"

#include <fmt/format.h>

#include "cluster/jobs/job_file.h"
#include "cluster/monitor/text.h"
#include "model/formats/file.h"
#include "schemas/nearest.h"

namespace troupe::cluster {
namespace {

constexpr size_t kTableBytesMax = 1 << 24;

// "sync", "pipelined", "pipelined:2", "async" or "async:47", as keys of the job.
Status add_schedule(const std::string& text, std::vector<std::string>& overrides) {
  if (text.empty()) return ok();
  const size_t colon = text.find(':');
  const std::string mode = text.substr(0, colon);
  const std::string number = colon == text.npos ? "" : text.substr(colon + 1);
  const bool is_number =
      !number.empty() && number.find_first_not_of("0123456789") == std::string::npos;
  if ((colon != text.npos && !is_number) || (mode == "sync" && colon != text.npos) ||
      (mode != "sync" && mode != "pipelined" && mode != "async")) {
    return invalid_argument(
        fmt::format("--schedule {}: must be sync, pipelined:ROUNDS or async:STEPS; the nearest: {}",
                    printable(text), nearest_first_list(mode, {"sync", "pipelined", "async"})));
  }
  overrides.push_back("schedule.mode=" + mode);
  overrides.push_back("schedule.lag=" +
                      (mode == "pipelined" ? (is_number ? number : std::string("1")) : "0"));
  if (mode == "async" && is_number) overrides.push_back("schedule.staleness_max_steps=" + number);
  if (mode != "sync") overrides.push_back("resources.placement=split");
  return ok();
}

}  // namespace

void add_planning_options(Command& command, PlanningQuestion& question) {
  command.add_option("job", question.job, "The job file").required();
  command
      .add_option("--cluster", question.cluster,
                  "HOSTSxDEVICESxNAME: 64x8xH800; H100, H200, A100 or cpu")
      .required();
  command.add_option("--set", question.overrides, "table.key=value, over what the job says")
      .may_repeat();
  command.add_option("--schedule", question.schedule,
                     "sync, pipelined:ROUNDS or async:STEPS; default: the job's");
  command.add_option("--lengths", question.lengths,
                     "Of responses: r1-zero, r1, mean=8000,p99=40000, a file.toml, or the "
                     "metrics.jsonl of a run; default: the job's name, else assumed");
  command.add_option("--engine", question.engine,
                     "How the policy is computed: deepseek, troupe; default: the model's own");
  command
      .add_option("--width", question.width,
                  "Devices of a replica that generates; default: what is fastest")
      .range<int64_t>(1, 1 << 16);
  command.add_option("--tables", question.tables, "A TOML file over the tables of the program")
      .may_repeat();
  command.add_option("--draws", question.draws, "Of what is uncertain, for the range")
      .show_default()
      .range(10, 100'000);
  command.add_option("--seed", question.seed, "Of all that is drawn").show_default();
}

Result<PlanSubject> read_subject(const PlanningQuestion& question) {
  PlannerTables tables = builtin_tables();
  for (const std::string& path : question.tables) {
    const auto text = model::read_file(path, kTableBytesMax);
    if (!text) return text.error();
    if (Status read = read_tables(*text, path, tables); !read) return read.error();
  }
  std::vector<std::string> overrides = question.overrides;
  if (Status fine = add_schedule(question.schedule, overrides); !fine) return fine.error();
  const auto job = load_job(question.job, overrides);
  if (!job) return job.error();
  return find_subject(*job, question.cluster, question.engine, question.lengths, tables);
}

}  // namespace troupe::cluster
