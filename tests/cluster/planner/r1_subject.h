// The published jobs, as plans and tests of their parts take them.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "cluster/jobs/job_file.h"
#include "cluster/planner/inputs.h"

namespace troupe::tests {

inline cluster::PlanSubject r1_subject(const std::string& name, const std::string& cluster_text) {
  const auto job =
      cluster::load_job(std::string(TROUPE_SOURCE_DIR) + "/cluster/jobs/" + name + ".toml");
  REQUIRE_MESSAGE(job, job.error().message);
  auto subject = cluster::find_subject(*job, cluster_text, "", "", cluster::builtin_tables());
  REQUIRE_MESSAGE(subject, subject.error().message);
  return *std::move(subject);
}

// What is uncertain, at its medians, on 64 hosts of 8 H800.
inline cluster::DrawnInputs r1_medians(const std::string& name) {
  return draw_inputs(r1_subject(name, "64x8xH800"), 1, 0);
}

}  // namespace troupe::tests
