// kill -9 of everything at twenty random moments, many times in one run, and in the middle of a
// recovery point: each time the job is resumed and ends with the history of the undisturbed run.
#include <doctest/doctest.h>

#include <random>

#include "tests/support/tree_kill.h"

namespace troupe {
namespace {

using nlohmann::json;
using tests::Moment;
using tests::ShortJob;

// A recovery point after every second step, in the cold start after every twentieth.
constexpr uint64_t kSftSteps = 60;
constexpr uint64_t kGrpoSteps = 80;
constexpr uint64_t kGroupsPerStep = 4;
const std::vector<std::string> kJob =
    tests::with(tests::kKilledJob, {"sft.steps=60", "grpo.steps=80", "eval.every_steps=20"});

const ShortJob& job() {
  static const ShortJob instance;
  return instance;
}

const json& undisturbed() {
  static const json result = tests::result_of(tests::troupe(job().run("undisturbed", kJob)));
  return result;
}

int whole_ms() { return static_cast<int>(1000 * undisturbed()["seconds"].get<double>()); }

std::chrono::milliseconds random_ms(std::mt19937& random, int below) {
  return std::chrono::milliseconds(random() % static_cast<unsigned>(below));
}

// Returns how often it was killed.
size_t check_survival(const std::string& name, const std::vector<Moment>& moments) {
  CAPTURE(name);
  const auto survived = tests::survive(job().run(name, kJob), job().file(name), moments);
  CHECK(tests::history_of(survived.result) == tests::history_of(undisturbed()));
  tests::check_store(job().file(name), kSftSteps + kGrpoSteps, kSftSteps, kGroupsPerStep);
  std::filesystem::remove_all(job().file(name));
  return survived.kills;
}

TEST_CASE("killed at twenty random moments: twenty equal histories") {
  std::mt19937 random(11);
  size_t kills = 0;
  for (int i = 0; i < 20; ++i) {
    kills +=
        check_survival("once" + std::to_string(i), {tests::after(random_ms(random, whole_ms()))});
  }
  CHECK(kills >= 15);  // The others had finished before.
}

TEST_CASE("killed many times in one run: the same history") {
  std::mt19937 random(12);
  std::vector<Moment> moments;
  // The first four come before the job could have ended.
  for (int i = 0; i < 12; ++i) moments.push_back(tests::after(random_ms(random, whole_ms() / 5)));
  CHECK(check_survival("often", moments) >= 4);
}

TEST_CASE("killed inside and right after the writing of a recovery point: the same history") {
  std::mt19937 random(13);
  std::vector<Moment> moments;
  for (int i = 0; i < 6; ++i) {
    moments.push_back(tests::at_point(IN_CREATE, random_ms(random, 12)));
    moments.push_back(tests::at_point(IN_MOVED_TO, random_ms(random, 4)));
  }
  CHECK(check_survival("points", moments) == moments.size());
}

}  // namespace
}  // namespace troupe
