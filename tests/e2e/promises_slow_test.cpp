// One history: the quickstart's job, shortened, ends with the same weights on every instruction
// set, for any number of threads, every time.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/support/process.h"

namespace troupe {
namespace {

using nlohmann::json;
using tests::Ended;
using tests::troupe;

struct Quickstart {
  Quickstart() {
    tests::write_text(dir.file("job.toml"), tests::contents(std::string(TROUPE_SOURCE_DIR) +
                                                            "/cluster/jobs/quickstart.toml"));
    const Ended made =
        troupe({"make-data", "arithmetic", "--out", dir.file("data"), "--train", "2000",
                "--cold-start-clean", "2000", "--cold-start-noisy", "2000", "--held-out", "100"});
    REQUIRE(made.exit_code == 0);
  }

  // The weights' hash; empty where the machine lacks the instruction set.
  std::string run(const std::string& cpu, std::vector<std::string> set, int threads = 1) const {
    set.push_back("resources.threads_per_worker=" + std::to_string(threads));
    tests::Invocation invocation{.arguments = {"run", dir.file("job.toml"), "--json", "--overwrite",
                                               "--home", dir.file("home")},
                                 .environment = {{"TROUPE_CPU", cpu}}};
    for (const auto& one : set) {
      invocation.arguments.push_back("--set");
      invocation.arguments.push_back(one);
    }
    const Ended ended = troupe(invocation);
    if (ended.exit_code == 2 && ended.error.find("TROUPE_CPU") != std::string::npos) return {};
    REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
    return json::parse(ended.out)["weights_sha256"];
  }

  tests::TempDir dir{};
};

std::vector<std::string> with(std::vector<std::string> set, const std::vector<std::string>& more) {
  set.insert(set.end(), more.begin(), more.end());
  return set;
}
const std::vector<std::string> kShort = {
    "sft.steps=6",      "grpo.steps=4",       "grpo.prompts_per_round=8",
    "eval.problems=20", "eval.every_steps=2", "grpo.kl_coef=0.01"};
const std::vector<std::string> kShortest = {"sft.steps=2", "grpo.steps=2",
                                            "grpo.prompts_per_round=4", "eval.problems=4"};

TEST_CASE("run: the quickstart's job ends the same for all instruction sets and thread counts") {
  const Quickstart quickstart;
  std::string first;
  int sets = 0;
  for (const char* cpu : {"amx", "avx512bf16", "avx512", "avx2"}) {
    CAPTURE(cpu);
    const std::string hash = quickstart.run(cpu, kShort);
    if (hash.empty()) continue;
    ++sets;
    if (first.empty()) first = hash;
    CHECK(hash == first);
    CHECK(quickstart.run(cpu, kShort, 2) == first);
  }
  if (sets > 0) {
    const char* cpu = quickstart.run("avx512", kShortest).empty() ? "avx2" : "avx512";
    CHECK(quickstart.run(cpu, kShort) == first);  // Again.
    CHECK(quickstart.run(cpu, with(kShort, {"seed=2"})) != first);
    CHECK(quickstart.run(cpu, kShortest) == quickstart.run("portable", kShortest));
  }
}

TEST_CASE("run: the quickstart's job can be shortened, to exactly the steps that are asked for") {
  const Quickstart quickstart;
  const Ended ended =
      troupe({"run", quickstart.dir.file("job.toml"), "--json", "--home",
              quickstart.dir.file("home"), "--set", "sft.steps=20", "--set", "grpo.steps=12"});
  REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
  CHECK(json::parse(ended.out)["steps"] == 32);
}

TEST_CASE("run: the portable instruction set ends the same for one and two threads") {
  const Quickstart quickstart;
  CHECK(quickstart.run("portable", kShortest) == quickstart.run("portable", kShortest, 2));
}

}  // namespace
}  // namespace troupe
