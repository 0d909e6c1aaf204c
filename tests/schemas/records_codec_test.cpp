#include "schemas/records_codec.h"

#include <doctest/doctest.h>

#include <cstring>
#include <functional>

#include "schemas/bounds.h"
#include "schemas/records_wire.h"
#include "tests/schemas/filled.h"
#include "tests/schemas/mutations.h"

namespace troupe {
namespace {

template <class T>
Bytes encoded(const T& value) {
  return encode(value);
}

// Calls check(value, decode) for one value of each kind.
template <class Check>
void for_each_kind(Check check) {
  check(filled_job_record(), decode_job_record);
  check(filled_round_record(), decode_round_record);
  check(filled_group_record(), decode_group_record);
  check(filled_drop_record(), decode_drop_record);
  check(filled_segments_record(), decode_segments_record);
  check(filled_attempt_record(), decode_attempt_record);
  check(filled_step_record(), decode_step_record);
  check(filled_evaluation_record(), decode_evaluation_record);
  check(filled_point_record(), decode_point_record);
}

TEST_CASE("records_codec: every field comes back") {
  for_each_kind([](const auto& value, auto decode) {
    check_round_trip(value, encoded<std::decay_t<decltype(value)>>, decode);
  });
  check_round_trip(JobRecord{}, encoded<JobRecord>, decode_job_record);
  check_round_trip(StepRecord{}, encoded<StepRecord>, decode_step_record);
}

TEST_CASE("records_codec: cut and flipped messages") {
  for_each_kind([](const auto& value, auto decode) {
    const Bytes bytes = encode(value);
    check_cuts_are_refused(bytes, decode);
    check_flips_are_survived(bytes, 2'000, encoded<std::decay_t<decltype(value)>>, decode);
  });
}

TEST_CASE("records_codec: every state of a job comes back, another is refused") {
  for (uint8_t state = 0; state <= static_cast<uint8_t>(JobState::kCancelled); ++state) {
    const auto record = decode_job_record(encode(JobRecord{.state = JobState{state}}));
    REQUIRE(record);
    CHECK(record->state == JobState{state});
  }
  capnp::MallocMessageBuilder message;
  message.initRoot<wire::JobRecord>().setState(static_cast<wire::JobState>(6));
  const auto refused = decode_job_record(wire::to_bytes(message));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("state 6 is unknown") != std::string::npos);
}

TEST_CASE("records_codec: a part of a response takes 8 bytes a token and about 100 more") {
  for (const size_t tokens : {8, 512, 4096}) {
    ResponseSegment segment = filled_response_segment();
    segment.tokens.assign(tokens, 70'000);
    segment.logprobs.assign(tokens, -1.5f);
    const size_t size = encode(SegmentsRecord{.segments = {segment}}).size();
    CAPTURE(tokens);
    CAPTURE(size);
    CHECK(size >= 8 * tokens + 80);
    CHECK(size <= 8 * tokens + 120);
  }
}

TEST_CASE("records_codec: what is not a group is named") {
  struct Fault {
    const char* word;
    std::function<void(wire::GroupRecord::Builder)> apply;
  };
  const Fault faults[] = {
      {"there is no trajectory", [](auto group) { group.initTrajectories(0); }},
      {"trajectory 1 is of group (7, 2)",
       [](auto group) { group.getTrajectories()[1].setRound(7); }},
      {"trajectory 1 is of group (1, 9)",
       [](auto group) { group.getTrajectories()[1].setOrdinal(9); }},
      {"trajectory 1 is sample 0", [](auto group) { group.getTrajectories()[1].setSample(0); }},
      {"trajectory 0 is sample 2", [](auto group) { group.getTrajectories()[0].setSample(2); }},
      {"loss_mask", [](auto group) { group.getTrajectories()[1].initLossMask(1); }},
      {"negative", [](auto group) { group.getTrajectories()[1].getTokens().set(0, -1); }},
  };
  for (const Fault& fault : faults) {
    CAPTURE(fault.word);
    const Bytes bytes = encode(filled_group_record());
    std::vector<uint64_t> words(bytes.size() / 8);
    std::memcpy(words.data(), bytes.data(), bytes.size());
    capnp::MallocMessageBuilder message;
    capnp::initMessageBuilderFromFlatArrayCopy(
        kj::arrayPtr(reinterpret_cast<const capnp::word*>(words.data()), words.size()), message);
    fault.apply(message.getRoot<wire::GroupRecord>());
    const auto refused = decode_group_record(wire::to_bytes(message));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kCorruption);
    CHECK(refused.error().message.find(fault.word) != std::string::npos);
  }
  CHECK_FALSE(validate(GroupRecord{}));
  CHECK(validate(filled_group_record()));
}

// A root struct with one pointer, to a list with elements of no size, in 8 bytes.
Bytes list_of_nothing(uint64_t num_elements, bool is_composite) {
  const uint64_t root = uint64_t{1} << 48;
  const uint64_t composite[] = {4ull << 32, root, 1 | (7ull << 32), num_elements << 2};
  const uint64_t plain[] = {2ull << 32, root, 1 | (num_elements << 35)};
  const auto bytes =
      is_composite ? std::as_bytes(std::span(composite, 4)) : std::as_bytes(std::span(plain, 3));
  Bytes message(bytes.begin(), bytes.end());
  const uint32_t size = static_cast<uint32_t>(message.size() / 8 - 1);
  std::memcpy(message.data() + 4, &size, 4);
  return message;
}

TEST_CASE("records_codec: a list that claims more elements than it has bytes is refused") {
  for (bool is_composite : {false, true}) {
    CAPTURE(is_composite);
    for (uint64_t size :
         {uint64_t{1000}, uint64_t{kGroupTrajectoriesMax} + 1, (uint64_t{1} << 29) - 1}) {
      const auto result = decode_group_record(list_of_nothing(size, is_composite));
      REQUIRE_FALSE(result);
      CHECK(result.error().code == ErrorCode::kCorruption);
    }
    // A few are believed, and are what their schema says of a struct without bytes.
    const auto few = decode_group_record(list_of_nothing(3, is_composite));
    REQUIRE_FALSE(few);
    CHECK(few.error().message.find("trajectory 1 is sample 0") != std::string::npos);
  }
}

}  // namespace
}  // namespace troupe
