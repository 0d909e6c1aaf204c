// The published GSM8K files, where they lie beside the checkout.
#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "actors/verifier/math/math_verdict.h"
#include "model/data/dataset.h"

namespace troupe::model {
namespace {

TEST_CASE("gsm8k: the published files load as they are, as problems and as demonstrations") {
  const std::string folder = std::string(TROUPE_SOURCE_DIR) + "/../shared/data/gsm8k/";
  if (!std::filesystem::exists(folder + "test.jsonl")) {
    std::printf("skipped: no GSM8K beside this checkout\n");
    return;
  }
  auto train = load_problems(folder + "train.jsonl");
  REQUIRE_MESSAGE(train, train.error().message);
  CHECK(train->problems.size() == 7473);
  auto test = load_problems(folder + "test.jsonl");
  REQUIRE_MESSAGE(test, test.error().message);
  CHECK(test->problems.size() == 1319);
  CHECK(test->problems.front().gold == "18");
  auto demonstrations = load_demonstrations(folder + "test.jsonl");
  REQUIRE_MESSAGE(demonstrations, demonstrations.error().message);
  // Every reference answer is one that the verifier can pay, and each demonstration reaches it.
  for (size_t i = 0; i < test->problems.size(); ++i) {
    CAPTURE(test->problems[i].line);
    const auto part = actors::verify_math((*demonstrations)[i].response, test->problems[i].gold);
    REQUIRE(part.kind == VerdictKind::kEqual);
  }
}

}  // namespace
}  // namespace troupe::model
