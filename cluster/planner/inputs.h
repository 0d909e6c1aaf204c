// From tables to the numbers of one computation: as their medians say, or as drawn from what is
// uncertain of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/planner/cluster_text.h"
#include "cluster/planner/cost_model.h"
#include "cluster/planner/lengths.h"
#include "cluster/planner/tables.h"
#include "schemas/job.h"

namespace troupe::cluster {

// What is planned: a job and all that its time follows from.
struct PlanSubject {
  JobSpec job{};
  model::TransformerConfig config{};
  std::string engine_name{};
  EngineTable engine{};
  PlannedCluster cluster{};
  OperationsTable operations{};
  LengthTable lengths{};
  bool lengths_are_assumed = false;

  double price_per_hour() const;  // Of a device.
};

// How `job` names its parts. kInvalidArgument for a model, an engine, lengths or a cluster that
// there is not. `engine` and `lengths` may be empty: the model's own, and the job's name's or
// assumed ones.
Result<PlanSubject> find_subject(const JobSpec& job, const std::string& cluster,
                                 const std::string& engine, const std::string& lengths,
                                 const PlannerTables& tables);

struct DrawnInputs {
  CostInputs costs{};
  LengthCourse lengths{};
  // What was uncertain, and by how many standard deviations of its logarithm it is off its median.
  std::vector<std::string> names{};
  std::vector<double> deviations{};
};

// Draw 0 is the medians; the others are pure functions of (seed, draw).
DrawnInputs draw_inputs(const PlanSubject& subject, uint64_t seed, uint64_t draw);

}  // namespace troupe::cluster
