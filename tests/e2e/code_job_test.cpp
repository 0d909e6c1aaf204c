// A job whose reward runs the programs that the policy writes.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/test_sandbox.h"

namespace troupe {
namespace {

using nlohmann::json;

TEST_CASE("code job: hidden tests judge, and the history is the same on other workers") {
  if (!tests::test_sandbox()) return;
  const tests::TempDir dir;
  const tests::Ended made = tests::troupe(
      {"make-data", "programs", "--out", dir.file("data/programs"), "--train", "500",
       "--cold-start-clean", "4000", "--cold-start-noisy", "100", "--held-out", "20"});
  REQUIRE_MESSAGE(made.exit_code == 0, made.error);
  tests::write_text(dir.file("job.toml"), tests::contents(std::string(TROUPE_SOURCE_DIR) +
                                                          "/cluster/jobs/code-quickstart.toml"));
  const auto run = [&](const std::string& home, const std::vector<std::string>& resources) {
    tests::Invocation job{
        .arguments = {"run", dir.file("job.toml"), "--json", "--home", dir.file(home)}};
    std::vector<std::string> set = {"sft.steps=160",       "sft.batch_tokens=1024",
                                    "grpo.steps=4",        "grpo.prompts_per_round=8",
                                    "eval.problems=20",    "sft.part_shares=[0.95, 0.05]",
                                    "eval.every_steps=160"};
    set.insert(set.end(), resources.begin(), resources.end());
    for (const std::string& one : set) {
      job.arguments.insert(job.arguments.end(), {"--set", one});
    }
    const tests::Ended ended = tests::troupe(job);
    REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
    return json::parse(ended.out);
  };
  const json one = run("one", {"resources.threads_per_worker=1"});
  const json& verdicts = one["ledger"]["verdicts"];
  CAPTURE(verdicts.dump());
  // The policy writes programs that run, some right and some wrong.
  CHECK(verdicts.value("passed", 0) > 10);
  CHECK(verdicts.value("wrong_answer", 0) > 0);
  CHECK(verdicts.count("infra_error") == 0);
  int64_t sum = 0;
  for (const auto& [kind, count] : verdicts.items()) sum += count.get<int64_t>();
  CHECK(sum == one["trajectories"]["generated"]);
  const json other = run("other", {"resources.threads_per_worker=2", "resources.verifier=2",
                                   "resources.rollout=2", "resources.placement=split"});
  CHECK(other["weights_sha256"] == one["weights_sha256"]);
  CHECK(other["ledger"]["verdicts"] == verdicts);
}

}  // namespace
}  // namespace troupe
