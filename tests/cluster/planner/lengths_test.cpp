// Lengths of responses: moments, quantiles, samples, and where they come from.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

#include "cluster/planner/lengths.h"
#include "tests/support/temp_dir.h"

namespace troupe::cluster {
namespace {

doctest::Approx near(double value, double share = 1e-3) {
  return doctest::Approx(value).epsilon(share);
}

const LengthDistribution kShape{
    .sigma = 0.9, .within_share = 0.4, .runaway = 0.001, .limit = 32768};

TEST_CASE("lengths: normal shares and their inverse") {
  CHECK(normal_below(0) == 0.5);
  CHECK(normal_below(1.959963985) == near(0.975, 1e-9));
  for (const double share : {1e-9, 0.001, 0.02, 0.3, 0.5, 0.9, 0.999999}) {
    CHECK(normal_below(normal_quantile(share)) == near(share, 1e-12));
  }
}

TEST_CASE("lengths: the mean is what was asked for, cut and endless ones included") {
  for (const double mean : {100.0, 1450.0, 9000.0, 20000.0}) {
    CHECK(LengthDistribution::with_mean(mean, kShape).mean() == near(mean, 1e-6));
  }
  // Nothing is longer than the limit.
  CHECK(LengthDistribution::with_mean(1e6, kShape).mean() < 32768);
  const auto equal = LengthDistribution::with_mean(500, {.sigma = 0, .limit = 1000});
  CHECK(equal.mean() == near(500, 1e-6));
  CHECK(equal.mean_square() == near(250000, 1e-6));
}

TEST_CASE("lengths: a sample has the moments, the tail and the likeness of its distribution") {
  const auto lengths = LengthDistribution::with_mean(8000, kShape);
  double sum = 0, squares = 0, at_limit = 0, count = 0;
  std::vector<double> logs, means;
  for (uint64_t round = 0; round < 20; ++round) {
    const std::vector<double> sample = sample_lengths(lengths, 512, 16, 3, round);
    REQUIRE(sample.size() == 8192);
    for (const double one : sample) {
      sum += one, squares += one * one, ++count;
      at_limit += one == 32768 ? 1 : 0;
    }
  }
  CHECK(sum / count == near(lengths.mean(), 0.02));
  CHECK(squares / count == near(lengths.mean_square(), 0.03));
  CHECK(at_limit / count == near(lengths.longer_than(32767), 0.1));
  // Of the logarithm's variance 60 % is between prompts.
  const auto free = LengthDistribution{.mu = 5, .sigma = 0.9, .within_share = 0.4, .limit = 1e9};
  const std::vector<double> sample = sample_lengths(free, 4000, 16, 3, 0);
  double within = 0, all = 0, mean = 0;
  for (const double one : sample) mean += std::log(one) / static_cast<double>(sample.size());
  for (size_t i = 0; i < sample.size(); i += 16) {
    double own = 0;
    for (size_t k = 0; k < 16; ++k) own += std::log(sample[i + k]) / 16;
    for (size_t k = 0; k < 16; ++k) {
      within += std::pow(std::log(sample[i + k]) - own, 2) * 16 / 15;
      all += std::pow(std::log(sample[i + k]) - mean, 2);
    }
  }
  CHECK(within / all == near(0.4, 0.05));
  CHECK(all / static_cast<double>(sample.size()) == near(0.81, 0.05));
}

TEST_CASE("lengths: a round is a pure function of seed and number") {
  const auto lengths = LengthDistribution::with_mean(3000, kShape);
  const auto a = sample_lengths(lengths, 8, 4, 5, 2), b = sample_lengths(lengths, 8, 4, 5, 2);
  CHECK(a == b);
  CHECK(sample_lengths(lengths, 8, 4, 5, 3) != a);
  CHECK(sample_lengths(lengths, 8, 4, 6, 2) != a);
  // More prompts leave the first ones as they are.
  const auto more = sample_lengths(lengths, 16, 4, 5, 2);
  CHECK(std::equal(a.begin(), a.end(), more.begin()));
}

TEST_CASE("lengths: the longest of a round") {
  const auto lengths = LengthDistribution::with_mean(1450, kShape);
  // Eight of 8,192 never end, so nearly every round has one.
  CHECK(lengths.longest(8192, 0.01) == 32768);
  // Of one response it is the quantile itself.
  CHECK(lengths.longest(1, 0.5) == near(lengths.quantile(0.5), 1e-9));
  const LengthDistribution ending{.mu = std::log(1000), .sigma = 0.5, .limit = 1e9};
  CHECK(normal_below(std::log(ending.longest(100, 0.5) / 1000) / 0.5) ==
        near(std::pow(0.5, 0.01), 1e-9));
}

TEST_CASE("lengths: means and limits go with the steps") {
  LengthCourse course{.mean_by_step = {{0, 100}, {10, 300}},
                      .limit_by_step = {{0, 1000}, {8, 2000}},
                      .sigma = 0.5,
                      .mean_scale = 2,
                      .late_from_step = 9,
                      .late_scale = 1.5};
  CHECK(course.mean_at(5) == near(400));
  CHECK(course.mean_at(10) == near(900));
  CHECK(course.mean_at(99) == near(900));
  CHECK(course.limit_at(7.9) == 1000);
  CHECK(course.limit_at(8) == 2000);
  CHECK(course.at(5).mean() == near(400, 1e-6));
}

TEST_CASE("lengths: by name, in words, from a table's file, from a recorded run") {
  const PlannerTables& tables = builtin_tables();
  CHECK(find_lengths("r1-zero", tables)->mean_by_step.back().second == 15500);
  const auto words = find_lengths("mean=8000,p99=40000", tables);
  REQUIRE(words);
  const LengthDistribution lengths =
      LengthDistribution::with_mean(8000, {.sigma = words->sigma.median, .limit = 1e9});
  CHECK(lengths.quantile(0.99) == near(40000, 1e-6));
  const auto fault = [&](const std::string& text) {
    return find_lengths(text, tables).error().message;
  };
  CHECK(fault("r2-zero").find("tables: r1-zero") != std::string::npos);
  CHECK(fault("mean=8000").find("mean=TOKENS,pPERCENT=TOKENS") != std::string::npos);
  CHECK(fault("mean=8000,p99=7000").find("above the mean") != std::string::npos);
  CHECK(fault("mean=8000,p99=1000000").find("at most") != std::string::npos);

  const tests::TempDir dir;
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(dir.file(name)) << text;
    return dir.file(name);
  };
  const std::string own =
      write("own.toml", "[lengths.mine]\nlike = \"r1\"\nmean_by_step = [[0, 77]]\n");
  CHECK(find_lengths(own, tables)->mean_by_step.front().second == 77);
  CHECK(find_lengths(own, tables)->prompt_tokens == 180);
  CHECK(fault(write("none.toml", "[lengths.r1]\nlate_scale = 2\n")).find("has no [lengths.NAME]") !=
        std::string::npos);
  CHECK(
      fault(write("bad.toml", "[lengths.mine]\nlik = \"r1\"\n")).find("bad.toml:2: unknown key") !=
      std::string::npos);
  const std::string run = write("metrics.jsonl",
                                "{\"stage\":\"sft\",\"step\":1}\n"
                                "{\"stage\":\"grpo\",\"step\":1,\"response_length/mean\":40.5}\n"
                                "{\"stage\":\"grpo\",\"step\":2,\"response_length/mean\":42}\n"
                                "{\"stage\":\"grpo\",\"step\":2,\"response_length/mean\":99}\n");
  const auto recorded = find_lengths(run, tables);
  REQUIRE(recorded);
  CHECK(recorded->mean_by_step == StepValues{{0, 40.5}, {1, 42}});
  CHECK(fault(write("no.jsonl", "{}\n")).find("no line has response_length/mean") !=
        std::string::npos);
  CHECK(fault(write("no.jsonl", "{}\nx\n")).find("no.jsonl:2: not a JSON object") !=
        std::string::npos);
}

}  // namespace
}  // namespace troupe::cluster
