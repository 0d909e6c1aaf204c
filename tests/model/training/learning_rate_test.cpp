#include "model/training/learning_rate.h"

#include <doctest/doctest.h>

namespace troupe::model {
namespace {

TEST_CASE("learning rate: rises linearly over the warm-up, then stays") {
  const LearningRate rate{.peak = 0.5, .warmup_steps = 4, .steps = 20};
  CHECK(rate.at(1) == 0.125);
  CHECK(rate.at(3) == 0.375);
  CHECK(rate.at(4) == 0.5);
  CHECK(rate.at(5) == 0.5);
  CHECK(rate.at(20) == 0.5);
}

TEST_CASE("learning rate: without a warm-up the first step has it all") {
  CHECK(LearningRate{.peak = 0.5, .steps = 3}.at(1) == 0.5);
}

TEST_CASE("learning rate: cosine passes the middle half way and ends at its fraction") {
  const LearningRate rate{
      .peak = 1, .warmup_steps = 10, .steps = 110, .is_cosine = true, .final_fraction = 0.2};
  CHECK(rate.at(10) == 1);
  CHECK(rate.at(60) == doctest::Approx(0.6));
  CHECK(rate.at(110) == doctest::Approx(0.2));
  for (int64_t step = 11; step <= 110; ++step) CHECK(rate.at(step) < rate.at(step - 1));
}

TEST_CASE("learning rate: a warm-up longer than the stage never divides by zero") {
  const LearningRate rate{.peak = 1, .warmup_steps = 10, .steps = 10, .is_cosine = true};
  CHECK(rate.at(10) == 1);
}

}  // namespace
}  // namespace troupe::model
