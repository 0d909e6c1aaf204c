// kill -9 of everything at twenty random moments, many times in one run, and in the middle of a
// recovery point: each time the job is resumed and ends with the history of the undisturbed run.
#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
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

const std::vector<std::vector<std::string>> kSchedules = {
    {},
    {"schedule.mode=pipelined", "schedule.lag=1", "resources.placement=split"},
    {"schedule.mode=pipelined", "schedule.lag=2", "resources.placement=split",
     "resources.rollout=2"},
};

const json& undisturbed(size_t schedule) {
  static std::map<size_t, json> results;
  const auto found = results.find(schedule);
  if (found != results.end()) return found->second;
  const std::string home = "undisturbed" + std::to_string(schedule);
  return results[schedule] = tests::result_of(
             tests::troupe(job().run(home, tests::with(kJob, kSchedules[schedule]))));
}

int whole_ms(size_t schedule) {
  return static_cast<int>(1000 * undisturbed(schedule)["seconds"].get<double>());
}

// Of one schedule; TROUPE_KILLED_RUNS asks for more.
int num_killed_runs() {
  const char* asked = std::getenv("TROUPE_KILLED_RUNS");
  return asked == nullptr ? 8 : std::atoi(asked);
}

std::chrono::milliseconds random_ms(std::mt19937& random, int below) {
  return std::chrono::milliseconds(random() % static_cast<unsigned>(below));
}

// Returns how often it was killed.
size_t check_survival(size_t schedule, const std::string& name,
                      const std::vector<Moment>& moments) {
  CAPTURE(name);
  CAPTURE(schedule);
  const auto survived = tests::survive(job().run(name, tests::with(kJob, kSchedules[schedule])),
                                       job().file(name), moments);
  CHECK(tests::history_of(survived.result) == tests::history_of(undisturbed(schedule)));
  tests::check_store(job().file(name), kSftSteps + kGrpoSteps, kSftSteps, kGroupsPerStep);
  std::filesystem::remove_all(job().file(name));
  return survived.kills;
}

TEST_CASE("killed at random moments: equal histories in every schedule") {
  std::mt19937 random(11);
  const int runs = num_killed_runs();
  for (size_t schedule = 0; schedule < kSchedules.size(); ++schedule) {
    size_t kills = 0;
    for (int i = 0; i < runs; ++i) {
      kills += check_survival(schedule, "once" + std::to_string(i),
                              {tests::after(random_ms(random, whole_ms(schedule)))});
    }
    MESSAGE("schedule " << schedule << ": " << kills << " kills in " << runs << " runs");
    CHECK(kills >= static_cast<size_t>(runs) * 3 / 4);  // The others had finished before.
  }
}

TEST_CASE("killed many times in one run: the same history") {
  std::mt19937 random(12);
  for (size_t schedule = 0; schedule < kSchedules.size(); ++schedule) {
    std::vector<Moment> moments;
    // The first four come before the job could have ended.
    for (int i = 0; i < 12; ++i) {
      moments.push_back(tests::after(random_ms(random, whole_ms(schedule) / 5)));
    }
    CHECK(check_survival(schedule, "often", moments) >= 4);
  }
}

TEST_CASE("killed inside and right after the writing of a recovery point: the same history") {
  std::mt19937 random(13);
  for (size_t schedule : {0, 2}) {
    std::vector<Moment> moments;
    for (int i = 0; i < 6; ++i) {
      moments.push_back(tests::at_point(IN_CREATE, random_ms(random, 12)));
      moments.push_back(tests::at_point(IN_MOVED_TO, random_ms(random, 4)));
    }
    CHECK(check_survival(schedule, "points", moments) == moments.size());
  }
}

}  // namespace
}  // namespace troupe
