// The published HumanEval problems, where they lie beside the checkout.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "actors/verifier/code/code_verdict.h"
#include "tests/support/test_sandbox.h"

namespace troupe::actors {
namespace {

std::vector<std::string> lines_of(const std::string& gzip) {
  std::FILE* pipe = ::popen(("gzip -dc " + gzip).c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::vector<std::string> lines(1);
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
    if (c == '\n') {
      lines.emplace_back();
    } else {
      lines.back().push_back(static_cast<char>(c));
    }
  }
  ::pclose(pipe);
  if (lines.back().empty()) lines.pop_back();
  return lines;
}

TEST_CASE("humaneval: the canonical solutions pass, and empty bodies do not") {
  const std::string path =
      std::string(TROUPE_SOURCE_DIR) + "/../shared/data/humaneval/HumanEval.jsonl.gz";
  if (!std::filesystem::exists(path)) {
    std::printf("skipped: no HumanEval beside this checkout\n");
    return;
  }
  if (!tests::test_sandbox()) return;
  const std::vector<std::string> lines = lines_of(path);
  REQUIRE(lines.size() == 164);
  std::atomic<size_t> next = 0;
  std::atomic<int> num_passed = 0, num_empty_passed = 0, num_other = 0;
  std::vector<std::string> reasons(lines.size());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (size_t k = next++; k < lines.size(); k = next++) {
        const auto row = value_from_json(lines[k]);
        const auto task = row ? read_code_task(*row, {}) : Result<CodeTask>(row.error());
        if (!task) {
          reasons[k] = task.error().message;
          continue;
        }
        const auto right =
            verify_code(*tests::test_sandbox(), *task, row->find("canonical_solution")->text);
        num_passed += right.is_passed() ? 1 : 0;
        if (!right.is_passed()) reasons[k] = right.reason;
        const auto empty = verify_code(*tests::test_sandbox(), *task, "    pass\n");
        num_empty_passed += empty.is_passed() ? 1 : 0;
        num_other += is_payable(empty.kind) ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < reasons.size(); ++i) {
    if (!reasons[i].empty()) std::printf("HumanEval/%zu: %s\n", i, reasons[i].c_str());
  }
  CHECK(num_passed == 164);
  CHECK(num_empty_passed == 0);
  CHECK(num_other == 0);
}

}  // namespace
}  // namespace troupe::actors
