// metrics.jsonl of a run that was killed: when it has gone on, each step and evaluation is in it.
#include <doctest/doctest.h>

#include "tests/support/tree_kill.h"

namespace troupe {
namespace {

using tests::contents;
using tests::lines_in;

constexpr uint64_t kSftSteps = 20;
constexpr uint64_t kSteps = kSftSteps + 12;

const std::vector<std::string> kJob =
    tests::with(tests::kKilledJob, {"sft.steps=20", "grpo.steps=12", "eval.every_steps=4"});

struct Told {
  std::vector<uint64_t> steps{};
  std::vector<uint64_t> evaluations{};
  bool operator==(const Told&) const = default;
};

Told told_in(const std::string& path) {
  Told told;
  std::istringstream lines(contents(path));
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    if (json.contains("stage")) told.steps.push_back(json["policy_version"]);
    if (json.contains("eval/pass_at_1")) told.evaluations.push_back(json["policy_version"]);
  }
  return told;
}

std::vector<uint64_t> all_steps() {
  std::vector<uint64_t> all;
  for (uint64_t v = 1; v <= kSteps; ++v) all.push_back(v);
  return all;
}

TEST_CASE(
    "metrics.jsonl has each step once, whenever its run was killed and whatever it had then") {
  const tests::ShortJob job;
  const Told undisturbed = [&] {
    REQUIRE(tests::troupe(job.run("undisturbed", kJob)).exit_code == 0);
    return told_in(job.file("undisturbed/metrics.jsonl"));
  }();
  CHECK(undisturbed.steps == all_steps());
  CHECK(undisturbed.evaluations.size() >= 4);
  // What a loss of power may do to a file that nobody syncs, and what more lives of the same steps
  // would leave.
  const std::function<void(const std::string&)> damages[] = {
      [](const std::string&) {},
      [](const std::string& path) {
        std::filesystem::resize_file(path, std::filesystem::file_size(path) * 2 / 3);
      },
      [](const std::string& path) {
        const std::string text = contents(path);
        tests::write_text(path, text + "{\"policy_version\":1\n" + text);
      },
      [](const std::string& path) { std::filesystem::remove(path); },
  };
  for (size_t i = 0; i < std::size(damages); ++i) {
    CAPTURE(i);
    const std::string name = "killed" + std::to_string(i);
    const std::string path = job.file(name) + "/metrics.jsonl";
    const auto invocation = job.run(name, kJob);
    {
      tests::Process run(invocation);
      REQUIRE(
          run.waits_for([&] { return lines_in(path) >= kSftSteps + 7; }, std::chrono::seconds(60)));
      tests::kill_tree(run, job.file(name));
    }
    damages[i](path);
    const tests::Ended ended = tests::troupe(tests::resumed(invocation));
    REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
    CHECK(told_in(path) == undisturbed);
  }
}

}  // namespace
}  // namespace troupe
