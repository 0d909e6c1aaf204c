// The ready job that learns to write programs, whole.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/test_sandbox.h"

namespace troupe {
namespace {

using nlohmann::json;

TEST_CASE("code quickstart: hidden tests teach what imitation has not") {
  if (!tests::test_sandbox()) return;
  const tests::TempDir dir;
  const tests::Ended made =
      tests::troupe({"make-data", "programs", "--out", dir.file("data/programs")});
  REQUIRE_MESSAGE(made.exit_code == 0, made.error);
  tests::write_text(dir.file("job.toml"), tests::contents(std::string(TROUPE_SOURCE_DIR) +
                                                          "/cluster/jobs/code-quickstart.toml"));
  const tests::Ended ended =
      tests::troupe({"run", dir.file("job.toml"), "--json", "--home", dir.file("home")});
  REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
  std::vector<double> pass_at_1;
  std::istringstream lines(tests::contents(dir.file("home/metrics.jsonl")));
  for (std::string line; std::getline(lines, line);) {
    const json row = json::parse(line);
    if (row.contains("eval/pass_at_1")) pass_at_1.push_back(row["eval/pass_at_1"]);
  }
  fmt::print("code quickstart: pass@1 on held-out compositions {:.3f}, {} s\n",
             fmt::join(pass_at_1, " "), json::parse(ended.out)["seconds"].get<double>());
  REQUIRE(pass_at_1.size() >= 2);
  CHECK(pass_at_1.back() > pass_at_1.front() + 0.2);
}

}  // namespace
}  // namespace troupe
