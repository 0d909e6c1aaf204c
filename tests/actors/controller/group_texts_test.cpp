#include "actors/controller/group_texts.h"

#include <limits>

#include "schemas/trajectory_codec.h"
#include "tests/support/controller_parts.h"

namespace troupe::actors {
namespace {

using tests::response;

TEST_CASE("group texts: a response that no worker can have sampled is not believed") {
  const int64_t vocab_size = 200;
  const auto is_taken = [&](const SampledResponse& one) {
    return is_sane(GeneratedGroup{.responses = {response("a"), one}}, vocab_size);
  };
  CHECK(is_taken(response("ab")));
  CHECK(is_taken(response("ab", FinishReason::kLength)));
  CHECK_FALSE(is_taken(response("")));
  CHECK_FALSE(is_taken(response("ab", FinishReason::kAborted)));
  SampledResponse broken = response("ab");
  broken.tokens[1] = 200;
  CHECK_FALSE(is_taken(broken));
  broken.tokens[1] = -1;
  CHECK_FALSE(is_taken(broken));
  broken = response("ab");
  broken.logprobs.pop_back();
  CHECK_FALSE(is_taken(broken));
  broken = response("ab");
  broken.logprobs[0] = std::numeric_limits<float>::quiet_NaN();
  CHECK_FALSE(is_taken(broken));
}

TEST_CASE("group texts: a part of a response leaves room for its end") {
  const JobSpec job = tests::small_job();
  ResponseSegment segment{.begin = 4, .tokens = {1, 2, 3}, .logprobs = {0, 0, 0}};
  CHECK(is_sane(segment, job, 200));
  segment.id.sample = 2;  // Of two.
  CHECK_FALSE(is_sane(segment, job, 200));
  segment.id.sample = 1;
  segment.begin = 5;  // It would be the whole response.
  CHECK_FALSE(is_sane(segment, job, 200));
}

TEST_CASE(
    "group texts: a trajectory has the prompt before the response, and says what was learned") {
  const PromptTokens prompt{.tokens = {'q', '?'}, .text = "q?"};
  SampledResponse two = response("xyz", FinishReason::kLength);
  two.versions = {{PolicyVersion{4}, 0, 1}, {PolicyVersion{5}, 1, 3}};
  const Trajectory made = make_trajectory({{Round{7}, 1}, 3}, 9, prompt, PolicyVersion{4}, two);
  REQUIRE(validate(made));
  CHECK(made.id == TrajectoryId{{Round{7}, 1}, 3});
  CHECK(made.prompt_index == 9);
  CHECK(made.tokens == std::vector<int32_t>{'q', '?', 'x', 'y', 'z'});
  CHECK(made.loss_mask == std::vector<uint8_t>{0, 0, 1, 1, 1});
  CHECK(made.versions ==
        std::vector<VersionRange>{{PolicyVersion{4}, 2, 3}, {PolicyVersion{5}, 3, 5}});
  // It is judged again by the same text.
  const model::Tokenizer bytes;
  CHECK(to_judge(made, bytes) == to_judge(two, bytes));
  CHECK(to_judge(made, bytes) == TextToJudge{"xyz", 3, true});

  const Trajectory plain = make_trajectory({}, 0, prompt, PolicyVersion{4}, response("xyz"));
  CHECK(plain.versions == std::vector<VersionRange>{{PolicyVersion{4}, 2, 5}});
}

}  // namespace
}  // namespace troupe::actors
