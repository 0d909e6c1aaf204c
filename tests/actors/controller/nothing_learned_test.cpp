#include "actors/controller/nothing_learned.h"

#include <doctest/doctest.h>

namespace troupe::actors {
namespace {

JobSpec job_of(int64_t steps) {
  JobSpec job;
  job.rewards = {{.name = "accuracy", .verifier = "math"},
                 {.name = "form", .verifier = "r1_format"}};
  job.grpo.steps = steps;
  job.grpo.kl_coef = 0;
  return job;
}

StepMetrics step_of(double zero_variance, double accuracy, double cut, int64_t no_answers) {
  StepMetrics step;
  step.stage = Stage::kGrpo;
  step.frac_reward_zero_std = zero_variance;
  step.accuracy = accuracy;
  step.response_length_clipped = cut;
  step.verdicts = {{"accuracy/no_answer", no_answers},
                   {"accuracy/different", 100 - no_answers},
                   {"form/no_answer", 100}};
  return step;
}

std::string reason(std::initializer_list<StepMetrics> steps, const JobSpec& job) {
  NothingLearned watched;
  for (const StepMetrics& step : steps) watched.add(step, job);
  return watched.reason(job).value_or("");
}

TEST_CASE("nothing learned: one group whose rewards differ is enough") {
  const JobSpec job = job_of(2);
  CHECK(reason({step_of(1, 0, 1, 0), step_of(0.99, 0, 1, 0)}, job) == "");
  CHECK(reason({}, job) == "");
  StepMetrics sft = step_of(1, 0, 1, 0);
  sft.stage = Stage::kSft;
  CHECK(reason({sft}, job) == "");
}

TEST_CASE("nothing learned: the likely cause is named with its setting") {
  JobSpec job = job_of(2);
  const auto twice = [&](const StepMetrics& step) { return reason({step, step}, job); };
  CHECK(twice(step_of(1, 0, 1, 100))
            .starts_with("nothing was learned: in none of the 2 steps did the rewards of a group "
                         "differ. 100 % of the responses were cut at rollout.max_response_tokens"));
  CHECK(twice(step_of(1, 1, 0, 0)).find("too easy") != std::string::npos);
  CHECK(twice(step_of(1, 0, 0, 95)).find("data.template = \"r1-zero\"") != std::string::npos);
  CHECK(twice(step_of(1, 0, 0, 10)).find("too hard") != std::string::npos);
  CHECK(twice(step_of(1, 0.5, 0, 10)).find("grpo.group_size = 16") != std::string::npos);
  StepMetrics dropped;
  dropped.stage = Stage::kGrpo;
  CHECK(twice(dropped).find("dropped") != std::string::npos);
  job.grpo.kl_coef = 0.1;
  CHECK(twice(step_of(1, 1, 0, 0)).find("pull to the reference") != std::string::npos);
  job.grpo.steps = 3;
  CHECK(twice(step_of(1, 1, 0, 0)).find("the last 2 steps") != std::string::npos);
}

}  // namespace
}  // namespace troupe::actors
