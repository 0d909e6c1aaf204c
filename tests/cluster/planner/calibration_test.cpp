// What is measured of a machine is what the cost model says of it afterwards.
#include <doctest/doctest.h>

#include <string>

#include "cluster/jobs/job_file.h"
#include "cluster/planner/calibration.h"
#include "cluster/planner/inputs.h"

namespace troupe::cluster {
namespace {

// Of the value alone: these are microseconds.
doctest::Approx near(double value, double share = 0.01) {
  return doctest::Approx(value).epsilon(share).scale(0);
}

constexpr DecodeFit kTrue{.overhead = 2e-4, .token = 8e-6, .position = 3e-9};

std::vector<MeasuredStep> steps_of(const DecodeFit& fit) {
  std::vector<MeasuredStep> steps;
  for (const double responses : {1.0, 16.0, 64.0}) {
    for (const double context : {100.0, 400.0}) {
      steps.push_back({responses, context, fit.seconds(responses, context)});
    }
  }
  return steps;
}

TEST_CASE("planner, calibration: steps give their three numbers back") {
  const DecodeFit fit = fit_decode(steps_of(kTrue));
  CHECK(fit.overhead == near(kTrue.overhead, 1e-6));
  CHECK(fit.token == near(kTrue.token, 1e-6));
  CHECK(fit.position == near(kTrue.position, 1e-6));
}

TEST_CASE("planner, calibration: no number is negative, and what is not there is none") {
  DecodeFit odd = kTrue;
  odd.position = -1e-9;  // Longer contexts were faster, by accident.
  const DecodeFit fit = fit_decode(steps_of(odd));
  CHECK(fit.position == 0);
  CHECK(fit.overhead >= 0);
  CHECK(fit.seconds(64, 250) == near(odd.seconds(64, 250), 0.05));
}

TEST_CASE("planner, calibration: the model with the table gives what was measured") {
  const auto job = load_job(std::string(TROUPE_SOURCE_DIR) + "/cluster/jobs/longtail.toml");
  REQUIRE(job);
  const auto before = find_subject(*job, "1x2xcpu", "", "", builtin_tables());
  REQUIRE(before);
  const MeasuredMachine measured{.decode = steps_of(kTrue),
                                 .prefill_length = 512,
                                 .prefill_seconds = 12e-6,
                                 .learn_length = 256,
                                 .learn_seconds = 41e-6,
                                 .storage_gbps = 0.25,
                                 .load_gbps = 0.5,
                                 .memory_gb = 8};
  const std::string text =
      calibrated_tables(count_policy(before->config), measured, "tiny-moe", "here");
  PlannerTables tables = builtin_tables();
  const Status read = read_tables(text, "here.toml", tables);
  REQUIRE_MESSAGE(read, read.error().message);
  const auto subject = find_subject(*job, "1x2xcpu", "", "", tables);
  REQUIRE(subject);
  const CostInputs in = draw_inputs(*subject, 1, 0).costs;
  for (const MeasuredStep& step : measured.decode) {
    CHECK(decode_step_seconds(in, step.responses, step.context, 1) == near(step.seconds));
  }
  CHECK(prefill_seconds(in, 512, 512 * 512, 1) == near(512 * 12e-6));
  CHECK(learn_step_seconds(in, 256, 256 * 256, 1) == near(256 * 41e-6));
  CHECK(learn_step_seconds(in, 256, 256 * 256, 2) == near(128 * 41e-6));
  CHECK(publish_seconds(in) == near(generating_weight_bytes(in) / 0.25e9));
  CHECK(load_seconds(in, 1) == near(generating_weight_bytes(in) / 0.5e9));
  // What was not measured stays as the program has it.
  CHECK(subject->cluster.device.price_per_hour == before->cluster.device.price_per_hour);
}

}  // namespace
}  // namespace troupe::cluster
