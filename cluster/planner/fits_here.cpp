#include "cluster/planner/fits_here.h"

#include <fmt/format.h>
#include <unistd.h>

#include "cluster/monitor/text.h"
#include "cluster/planner/policy_counts.h"
#include "cluster/planner/tables.h"
#include "model/transformer/config.h"

namespace troupe::cluster {

Status check_fits_here(const JobSpec& job) {
  // Most jobs need no tables for that.
  if (!job.policy.model.empty() || model::named_config(job.policy.config)) return ok();
  const PlannerTables& tables = builtin_tables();
  const auto found = tables.models.find(job.policy.config);
  if (found == tables.models.end()) return ok();
  constexpr double kLearningBytes = 16;  // Master, gradient and two moments, four bytes each.
  const double parameters = count_policy(found->second.config).parameters;
  const auto needed = static_cast<uint64_t>(parameters * kLearningBytes);
  const auto here = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                    static_cast<uint64_t>(::sysconf(_SC_PAGE_SIZE));
  const std::string facts =
      fmt::format("policy.config = \"{}\" has {} parameters, and learning them takes {} at least",
                  job.policy.config, count(parameters), byte_count(needed));
  if (needed > here) {
    return invalid_argument(fmt::format(
        "{}; this machine has {}. It fits where `troupe plan` says, e.g. troupe plan JOB --cluster "
        "64x8xH800",
        facts, byte_count(here)));
  }
  return invalid_argument(
      fmt::format("{}; only `troupe plan` knows its shapes: to run it, name a folder with its "
                  "weights as policy.model",
                  facts));
}

}  // namespace troupe::cluster
