#include "schemas/trajectory_codec.h"

#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <random>

namespace troupe {
namespace {

// Two policy turns with a tool's answer between them, sampled by two versions.
Trajectory example() {
  return {
      .id = {.group = {Round{3}, 17}, .sample = 5},
      .prompt_index = 1234,
      .tokens = {10, 11, 20, 21, 22, 30, 31, 23, 24},
      .loss_mask = {0, 0, 1, 1, 1, 0, 0, 1, 1},
      .rollout_logprobs = {0, 0, -0.5f, -1.25f, -3, 0, 0, -2, -0.125f},
      .segments = {{SegmentRole::kPrompt, 0, 2},
                   {SegmentRole::kPolicy, 2, 5},
                   {SegmentRole::kEnvironment, 5, 7},
                   {SegmentRole::kPolicy, 7, 9}},
      .versions = {{PolicyVersion{40}, 2, 4}, {PolicyVersion{41}, 4, 5}, {PolicyVersion{41}, 7, 9}},
      .finish_reason = FinishReason::kLength,
      .verdict = {{{.name = "accuracy",
                    .kind = VerdictKind::kUndecided,
                    .value = 0,
                    .weight = 1,
                    .reason = "out of fuel"},
                   {.name = "format",
                    .kind = VerdictKind::kWellFormed,
                    .value = 1,
                    .weight = 0.5f,
                    .reason = ""}}},
  };
}

TEST_CASE("trajectory_codec: every field comes back") {
  const Trajectory sent = example();
  const auto received = decode_trajectory(encode(sent));
  REQUIRE(received);
  CHECK(received->id == sent.id);
  CHECK(received->prompt_index == sent.prompt_index);
  CHECK(received->tokens == sent.tokens);
  CHECK(received->loss_mask == sent.loss_mask);
  CHECK(received->rollout_logprobs == sent.rollout_logprobs);
  CHECK(received->segments == sent.segments);
  CHECK(received->versions == sent.versions);
  CHECK(received->finish_reason == sent.finish_reason);
  REQUIRE(received->verdict.parts.size() == 2);
  CHECK(received->verdict.parts[0].name == "accuracy");
  CHECK(received->verdict.parts[0].kind == VerdictKind::kUndecided);
  CHECK(received->verdict.parts[0].reason == "out of fuel");
  CHECK(received->verdict.parts[1].value == 1.0f);
  CHECK(received->verdict.parts[1].weight == 0.5f);
}

TEST_CASE("trajectory_codec: an empty trajectory and unaligned bytes are fine") {
  REQUIRE(decode_trajectory(encode(Trajectory{})));
  std::vector<std::byte> bytes = encode(example());
  bytes.insert(bytes.begin(), std::byte{7});
  CHECK(decode_trajectory(std::span(bytes).subspan(1)));
}

TEST_CASE("trajectory_codec: a message cut at any length is refused") {
  const std::vector<std::byte> bytes = encode(example());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto result = decode_trajectory(std::span(bytes).first(size));
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::kCorruption);
  }
}

TEST_CASE("trajectory_codec: bytes after the message are refused") {
  std::vector<std::byte> bytes = encode(example());
  bytes.resize(bytes.size() + 8);
  CHECK_FALSE(decode_trajectory(bytes));
}

TEST_CASE("trajectory_codec: flipped bits never give an invalid trajectory") {
  const std::vector<std::byte> original = encode(example());
  std::mt19937 random(1);
  int refused = 0;
  int accepted = 0;
  for (int i = 0; i < 10'000; ++i) {
    std::vector<std::byte> bytes = original;
    const int flips = 1 + static_cast<int>(random() % 3);
    for (int f = 0; f < flips; ++f) {
      bytes[random() % bytes.size()] ^= std::byte{static_cast<unsigned char>(1u << random() % 8)};
    }
    const auto result = decode_trajectory(bytes);
    if (result) {
      REQUIRE(validate(*result));
      ++accepted;
    } else {
      REQUIRE(result.error().message.find('\n') == std::string::npos);
      ++refused;
    }
  }
  CHECK(refused > 1000);
  CHECK(accepted > 100);  // Tokens, say, may be anything: only the store's checksum protects them.
}

TEST_CASE("trajectory_codec: what is not a trajectory is named") {
  struct Fault {
    const char* word;
    std::function<void(Trajectory&)> apply;
  };
  const Fault faults[] = {
      {"loss_mask", [](Trajectory& t) { t.loss_mask.pop_back(); }},
      {"rollout_logprobs", [](Trajectory& t) { t.rollout_logprobs.push_back(0); }},
      {"loss_mask 3 is neither", [](Trajectory& t) { t.loss_mask[3] = 2; }},
      {"negative", [](Trajectory& t) { t.tokens[0] = -1; }},
      {"not finite",
       [](Trajectory& t) { t.rollout_logprobs[2] = std::numeric_limits<float>::quiet_NaN(); }},
      {"not 0 where", [](Trajectory& t) { t.rollout_logprobs[0] = -1; }},
      {"segment [6, 7) does not continue", [](Trajectory& t) { t.segments[2].begin = 6; }},
      {"segments end", [](Trajectory& t) { t.segments.pop_back(); }},
      {"not the policy's", [](Trajectory& t) { t.segments[1].role = SegmentRole::kEnvironment; }},
      {"role", [](Trajectory& t) { t.segments[1].role = SegmentRole{3}; }},
      {"covers token 5", [](Trajectory& t) { t.versions[1].end = 6; }},
      {"cover 4 of 5", [](Trajectory& t) { t.versions[2].end = 8; }},
      {"out of order", [](Trajectory& t) { std::swap(t.versions[0], t.versions[2]); }},
      {"finish reason", [](Trajectory& t) { t.finish_reason = FinishReason{3}; }},
      {"verdict kind 5", [](Trajectory& t) { t.verdict.parts[0].kind = VerdictKind{5}; }},
      {"value", [](Trajectory& t) { t.verdict.parts[0].value = 1.5f; }},
      {"verdict parts", [](Trajectory& t) { t.verdict.parts.resize(kVerdictPartsMax + 1); }},
  };
  for (const Fault& fault : faults) {
    CAPTURE(fault.word);
    Trajectory trajectory = example();
    fault.apply(trajectory);
    const Status status = validate(trajectory);
    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::kCorruption);
    CHECK(status.error().message.find(fault.word) != std::string::npos);
  }
}

}  // namespace
}  // namespace troupe
