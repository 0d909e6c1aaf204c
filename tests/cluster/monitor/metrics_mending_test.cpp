#include "cluster/monitor/metrics_mending.h"

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "cluster/monitor/run_board.h"
#include "tests/support/process.h"

namespace troupe::cluster {
namespace {

using tests::contents;

StepMetrics step(uint64_t version) {
  return {.stage = Stage::kGrpo, .version = PolicyVersion{version}, .loss = 0.5};
}
EvalMetrics evaluation(uint64_t version) {
  return {.version = PolicyVersion{version}, .problems = 4, .solved = 3};
}

// Steps 1 to 6, evaluations of 0, 3 and 6.
actors::ReportedPast some_past() {
  actors::ReportedPast past;
  for (uint64_t v = 1; v <= 6; ++v) past.steps.push_back(step(v));
  for (const uint64_t v : {0, 3, 6}) past.evaluations.push_back(evaluation(v));
  return past;
}

// "e0 s1 s2 m s3 e3": what the lines are about, in their order; "?" is none.
std::string subjects(const std::string& path) {
  std::istringstream lines(contents(path));
  std::string all;
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    const auto kind = kind_of(json);
    all += all.empty() ? "" : " ";
    all += !kind                            ? "?"
           : *kind == LineKind::kSample     ? "m"
           : *kind == LineKind::kEvaluation ? "e" + std::to_string(version_in(json))
                                            : "s" + std::to_string(version_in(json));
  }
  return all;
}

// The file that has these lines, each a second after the one before.
std::string text_of(const std::string& subjects) {
  std::istringstream words(subjects);
  std::string text;
  double time = 1'000;
  for (std::string word; words >> word;) {
    MetricLine line;
    if (word == "?") {
      text += "{\"policy_version\":3,\"sta\n";
      continue;
    }
    const uint64_t version = word == "m" ? 0 : std::stoull(word.substr(1));
    if (word == "m") line = to_line(RunSample{});
    if (word[0] == 's') line = to_line(step(version));
    if (word[0] == 'e') line = to_line(evaluation(version));
    line["time"] = ++time;
    text += line.dump() + "\n";
  }
  return text;
}

TEST_CASE("metrics_mending: each step and evaluation that the store has is there once, in order") {
  const std::string all = "e0 s1 s2 s3 e3 s4 s5 s6 e6";
  const std::pair<const char*, const char*> cases[] = {
      {"", all.c_str()},
      {"m m", "m m e0 s1 s2 s3 e3 s4 s5 s6 e6"},
      // Killed between commit and line; or power took the last ones.
      {"e0 s1 s2 s3 e3 s4 s5", all.c_str()},
      {"e0 m s1 s2 m", "e0 m s1 s2 m s3 e3 s4 s5 s6 e6"},
      // Lines amid the others are missing.
      {"s1 s3 m s6", "e0 s1 s2 s3 m e3 s4 s5 s6 e6"},
      {"e0 s1 s2 s3 s4 s5 s6 e6", all.c_str()},
      // Lived twice.
      {"e0 s1 s2 s3 e3 s4 m s3 e3 s4 s5 s6 e6", "e0 s1 s2 s3 e3 s4 m s5 s6 e6"},
      // What the store does not have comes again.
      {"e0 s1 s2 s3 e3 s4 s5 s6 e6 s7 m s8", "e0 s1 s2 s3 e3 s4 s5 s6 e6 m"},
      {"e0 s1 ? s2 s3 e3 s4 ? s5 s6 e6 ?", all.c_str()},
  };
  const tests::TempDir dir;
  const std::string path = dir.file("metrics.jsonl");
  for (const auto& [before, after] : cases) {
    CAPTURE(before);
    tests::write_text(path, text_of(before));
    CHECK(mend_metrics(path, some_past()));
    CHECK(subjects(path) == after);
    // Time goes on.
    std::istringstream lines(contents(path));
    double time = 0;
    for (std::string line; std::getline(lines, line);) {
      const double now = time_in(nlohmann::json::parse(line));
      CHECK(now >= time);
      time = now;
    }
  }
}

TEST_CASE("metrics_mending: a last line without its end is none, whatever is in it") {
  const tests::TempDir dir;
  const std::string path = dir.file("metrics.jsonl");
  std::string text = text_of("e0 s1 s2 s3 e3 s4 s5 s6 e6");
  for (const size_t cut : {1, 2, 20, 150}) {
    tests::write_text(path, text.substr(0, text.size() - cut));
    CHECK(mend_metrics(path, some_past()));
    CHECK(subjects(path) == "e0 s1 s2 s3 e3 s4 s5 s6 e6");
    CHECK(contents(path).ends_with("}\n"));
  }
}

TEST_CASE("metrics_mending: a file in which nothing is wrong is not touched") {
  const tests::TempDir dir;
  const std::string path = dir.file("metrics.jsonl");
  tests::write_text(path, text_of("m e0 s1 s2 m s3 e3 s4 s5 s6 e6 m"));
  const std::string before = contents(path);
  std::filesystem::permissions(path, std::filesystem::perms::owner_read);
  const auto written = std::filesystem::last_write_time(path);
  CHECK(mend_metrics(path, some_past()));
  CHECK(contents(path) == before);
  CHECK(std::filesystem::last_write_time(path) == written);
  CHECK(tests::tree(dir.path()).size() == 1);
}

TEST_CASE("metrics_mending: any file that was cut and lived again becomes the one that is right") {
  const tests::TempDir dir;
  const std::string path = dir.file("metrics.jsonl");
  for (uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    std::string text;
    for (uint64_t i = 0, lives = 1 + random() % 3; i < lives; ++i) {
      const std::string life = text_of("e0 m s1 s2 m s3 e3 m s4 s5 m s6 e6 s7");
      text += life.substr(0, random() % (life.size() + 1));
      if (random() % 2 == 0) text += "\n";
    }
    tests::write_text(path, text);
    CHECK(mend_metrics(path, some_past()));
    std::istringstream words(subjects(path));
    std::string steps, evaluations;
    for (std::string word; words >> word;) {
      if (word[0] == 's') steps += word;
      if (word[0] == 'e') evaluations += word;
      CHECK(word != "?");
    }
    CHECK(steps == "s1s2s3s4s5s6");
    CHECK(evaluations == "e0e3e6");
  }
}

}  // namespace
}  // namespace troupe::cluster
