// Plans beside what is published of DeepSeek's runs, and what `troupe plan` says of them.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "cluster/planner/fits_here.h"
#include "cluster/planner/plan.h"
#include "cluster/planner/plan_text.h"
#include "tests/cluster/planner/r1_subject.h"
#include "tests/support/process.h"

namespace troupe::cluster {
namespace {

using tests::r1_subject;

PlanLayout layout_of(const PlanSubject& subject, const DrawnInputs& inputs, int64_t width) {
  for (const PlanLayout& one : possible_layouts(subject, inputs, false)) {
    if (one.width == width) return one;
  }
  FAIL("no such layout");
  return {};
}

// With 32 devices to a replica, at medians but for the time of decode steps.
double hours_at(const std::string& name, double decode_factor) {
  PlanSubject subject = r1_subject(name, "64x8xH800");
  subject.engine.decode_factor = {decode_factor, 0};
  const DrawnInputs inputs = draw_inputs(subject, 1, 0);
  return planned_hours(subject, inputs, layout_of(subject, inputs, 32), {}).total;
}

TEST_CASE("plan: R1-Zero's 198 h, with nothing fitted to them") {
  const PlanSubject subject = r1_subject("r1-zero", "64x8xH800");
  const auto plan = make_plan(subject);
  REQUIRE(plan);
  REQUIRE(plan->fits());
  CHECK(plan->hours.low < 198);
  CHECK(plan->hours.high > 198);
  CHECK(plan->hours.median == doctest::Approx(198).epsilon(0.15));
  CHECK(plan->cost.median == doctest::Approx(plan->hours.median * 512 * 2));
  CHECK(plan->at_medians.rounds == doctest::Approx(650));
  CHECK(plan->at_medians.tokens / 1e9 == doctest::Approx(33.4).epsilon(0.02));
  CHECK(plan->bound == "the longest response");
  // The prototype, by width of a replica.
  const DrawnInputs medians = draw_inputs(subject, 1, 0);
  for (const auto& [width, hours] : {std::pair(32, 207.9), {64, 195.9}}) {
    const PlanHours one = planned_hours(subject, medians, layout_of(subject, medians, width), {});
    CHECK(one.total == doctest::Approx(hours).epsilon(0.015));
  }
}

TEST_CASE("plan: the table of $294K, after one factor and with what is not published assumed") {
  double low = 0.5, high = 1.5;
  for (int i = 0; i < 40; ++i) {
    const double middle = (low + high) / 2;
    (hours_at("r1-zero", middle) < 198 ? low : high) = middle;
  }
  CHECK(low == doctest::Approx(0.935).epsilon(0.02));
  CHECK(hours_at("r1-zero", low) == doctest::Approx(198).epsilon(0.001));
  const double zero = 512 * hours_at("r1-zero", low), r1 = 512 * hours_at("r1", low);
  constexpr double kExamples = 5000;  // GPU-hours, published; cannot be predicted.
  CHECK(2 * (zero + r1 + kExamples) == doctest::Approx(294000).epsilon(0.02));
  CHECK(2 * zero == doctest::Approx(202000).epsilon(0.01));
}

TEST_CASE("plan: other schedules and sizes, beside the events of the prototype") {
  PlanSubject subject = r1_subject("r1-zero", "64x8xH800");
  subject.engine.decode_factor = {0.935, 0};
  subject.job.resources.placement = "split";
  const DrawnInputs inputs = draw_inputs(subject, 1, 0);
  const auto best = [&](const PlanSchedule& schedule) {
    double hours = 1e9;
    for (const PlanLayout& one : possible_layouts(subject, inputs, true)) {
      if (!one.fits() || one.width != 32) continue;
      hours = std::min(hours, planned_hours(subject, inputs, one, schedule).total);
    }
    return hours;
  };
  CHECK(best({1, Stragglers::kHeld}) == doctest::Approx(157).epsilon(0.08));
  CHECK(best({1, Stragglers::kMoved}) == doctest::Approx(128.5).epsilon(0.05));
  CHECK(best({2, Stragglers::kMoved}) == doctest::Approx(96).epsilon(0.05));
  CHECK(best({3, Stragglers::kMoved}) == doctest::Approx(88).epsilon(0.12));
  PlanSubject half = r1_subject("r1-zero", "32x8xH800");
  half.engine.decode_factor = {0.935, 0};
  const DrawnInputs drawn = draw_inputs(half, 1, 0);
  CHECK(planned_hours(half, drawn, layout_of(half, drawn, 32), {}).total ==
        doctest::Approx(243).epsilon(0.02));
}

TEST_CASE("plan: what does not fit says by how much") {
  const PlanSubject subject = r1_subject("r1-zero", "1x8xH800");
  const auto plan = make_plan(subject);
  REQUIRE(plan);
  CHECK(!plan->fits());
  // 8 bytes a parameter over 8 devices are 671 GB, gradients half of that.
  const PlanLayout& best = plan->layouts.front();
  CHECK(best.learning.short_by() / 1e9 > 671 + 335 - 78);
  CHECK(best.short_by() == std::max(best.learning.short_by(), best.generating.short_by()));
  CHECK(to_page(subject, *plan).find("does not fit: ") != std::string::npos);
  const auto json = to_json(subject, *plan);
  CHECK(json["fits"] == false);
  CHECK(json["hours"].is_null());
  CHECK(json["gb_per_device"]["learning"]["short_by"].get<double>() > 900);
}

TEST_CASE("plan: the best layout comes first, and no layout is against the learner's rule") {
  PlanSubject subject = r1_subject("r1-zero", "64x8xH800");
  const auto plan = make_plan(subject, {.draws = 10});
  REQUIRE(plan);
  for (size_t i = 1; i < plan->layouts.size(); ++i) {
    const PlanLayout &a = plan->layouts[i - 1], &b = plan->layouts[i];
    CHECK(a.fits() >= b.fits());
    if (b.fits()) CHECK(a.hours <= b.hours);
  }
  subject.job.learner.gradient_lanes = 64;
  const auto fewer = make_plan(subject, {.draws = 10});
  REQUIRE(fewer);
  CHECK(fewer->layouts.front().learner.devices == 64);
  subject.job.resources.placement = "split";
  subject.cluster.nodes = subject.cluster.devices_per_node = 1;
  CHECK(make_plan(subject).error().message.find("needs two devices") != std::string::npos);
}

TEST_CASE("plan: the published jobs are refused in words where they do not fit") {
  const PlanSubject subject = r1_subject("r1-zero", "64x8xH800");
  const Status here = check_fits_here(subject.job);
  REQUIRE(!here);
  CHECK(here.error().message.find("671.03G parameters") != std::string::npos);
  JobSpec small = subject.job;
  small.policy.config = "tiny-moe";
  CHECK(check_fits_here(small));
}

TEST_CASE("plan command: JSON of the fixed form, the same bytes each time, and what is wrong") {
  const auto run = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "plan");
    tests::Process process({.arguments = std::move(arguments)});
    return process.wait();
  };
  const std::string jobs = std::string(TROUPE_SOURCE_DIR) + "/cluster/jobs/";
  const auto first = run({jobs + "r1-zero.toml", "--cluster", "64x8xH800", "--json"});
  CHECK(first.exit_code == 0);
  const auto json = nlohmann::json::parse(first.out);
  CHECK(json["fits"] == true);
  for (const char* role : {"learning", "generating"}) {
    const auto& parts = json["gb_per_device"][role];
    CHECK(parts["total"].get<double>() <= parts["usable"].get<double>());
  }
  CHECK(json["seconds_per_round"].get<double>() > 0);
  CHECK(json["hours_range"].size() == 2);
  CHECK(json["hours_range"][0].get<double>() < json["hours"].get<double>());
  CHECK(json["hours_range"][1].get<double>() > json["hours"].get<double>());
  CHECK(json["cost"].get<double>() ==
        doctest::Approx(json["hours"].get<double>() * 1024).epsilon(1e-3));
  CHECK(run({jobs + "r1-zero.toml", "--cluster", "64x8xH800", "--json"}).out == first.out);
  CHECK(run({jobs + "quickstart.toml", "--cluster", "1x2xcpu"}).exit_code == 0);

  const auto wrong = run({jobs + "r1-zero.toml", "--cluster", "64x8xH80"});
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.error.find("the nearest: H800") != std::string::npos);
  CHECK(run({jobs + "r1-zero.toml", "--cluster", "64x8xH800", "--engine", "deepsek"})
            .error.find("the nearest: deepseek") != std::string::npos);
  CHECK(run({jobs + "r1-zero.toml", "--cluster", "64x8xH800", "--set", "policy.config=deepseek-v2"})
            .error.find("the nearest: deepseek-v3") != std::string::npos);
  tests::Process refused({.arguments = {"run", jobs + "r1-zero.toml"}});
  const auto ended = refused.wait();
  CHECK(ended.exit_code == 2);
  CHECK(ended.error.find("this machine has") != std::string::npos);
}

}  // namespace
}  // namespace troupe::cluster
