// How long responses are: around each prompt's own length log-normal, a few that never end, all cut
// at a limit. Means and limits change with the steps of a job.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/planner/tables.h"
#include "schemas/result.h"

namespace troupe::cluster {

double normal_below(double z);         // The share of a normal number below z.
double normal_quantile(double share);  // Its inverse; share in (0, 1).

// Of responses in one round, in tokens.
struct LengthDistribution {
  double mu = 0;            // Of the logarithm, where nothing is cut.
  double sigma = 0;         //
  double within_share = 1;  // Of its variance, between responses to one prompt.
  double runaway = 0;       // Share that goes on to the limit.
  double limit = 0;

  // Such that the mean of what is generated, cut and endless ones included, is `mean`, or as near
  // to it as the limit lets it be.
  static LengthDistribution with_mean(double mean, LengthDistribution shape);

  double mean() const;
  double mean_square() const;
  // The share that is longer; below the limit.
  double longer_than(double tokens) const;
  // That a share of `share` is not longer than.
  double quantile(double share) const;
  // The longest of `count` responses, as a share of `share` of all rounds has at most.
  double longest(double count, double share) const;
};

// Of one job: `table` with what is uncertain of it decided.
struct LengthCourse {
  StepValues mean_by_step{};
  StepValues limit_by_step{};
  double prompt_tokens = 0;
  double sigma = 0, within_share = 1, runaway = 0;
  double mean_scale = 1;
  double late_from_step = 0, late_scale = 1;

  double mean_at(double step) const;
  double limit_at(double step) const;
  LengthDistribution at(double step) const;
};

// Lengths of one round, a row of `group` for each of `prompts`: a pure function of the arguments,
// whole tokens, at least 1.
std::vector<double> sample_lengths(const LengthDistribution& lengths, int64_t prompts,
                                   int64_t group, uint64_t seed, uint64_t round);

// What `--lengths` names: a table's name, a TOML file with one [lengths.NAME], the metrics.jsonl of
// a recorded run, or "mean=8000,p99=40000". kInvalidArgument, with file and line where there are
// some, for what is none of these.
Result<LengthTable> find_lengths(const std::string& text, const PlannerTables& tables);

}  // namespace troupe::cluster
