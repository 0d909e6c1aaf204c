#include "cluster/monitor/job_json.h"

#include <nlohmann/json.hpp>

namespace troupe::cluster {

nlohmann::ordered_json to_json(const JobSummary& job) {
  return {{"id", job.id},
          {"name", job.name},
          {"state", name(job.state)},
          {"message", job.message},
          {"steps_done", job.steps_done},
          {"steps_total", job.steps_total},
          {"home", job.home},
          {"weights_sha256", job.weights_sha256},
          {"money", job.money},
          {"owner", job.owner}};
}

}  // namespace troupe::cluster
