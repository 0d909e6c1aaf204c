#include "schemas/work_codec.h"

#include <doctest/doctest.h>

#include <functional>
#include <set>

#include "schemas/bounds.h"
#include "schemas/envelope_codec.h"
#include "schemas/team.capnp.h"
#include "schemas/wire.h"
#include "schemas/work.capnp.h"
#include "tests/schemas/filled.h"
#include "tests/schemas/mutations.h"

namespace troupe {
namespace {

// Calls check(message, seal, open) for each message, where `open` takes the payload's bytes.
template <class Check>
void for_each_message(Check check) {
  for (const ToWorker& message : filled_to_worker()) {
    check(
        message, [](const ToWorker& m) { return seal(m).payload; },
        [schema = seal(message).schema](std::span<const std::byte> bytes) {
          return open_to_worker({.schema = schema, .payload = {bytes.begin(), bytes.end()}});
        });
  }
  for (const FromWorker& message : filled_from_worker()) {
    check(
        message, [](const FromWorker& m) { return seal(m).payload; },
        [schema = seal(message).schema](std::span<const std::byte> bytes) {
          return open_from_worker({.schema = schema, .payload = {bytes.begin(), bytes.end()}});
        });
  }
}

TEST_CASE("work_codec: every field of every message comes back") {
  for_each_message([](const auto& message, auto seal_bytes, auto open) {
    CAPTURE(message.index());
    check_round_trip(message, seal_bytes, open);
  });
  CHECK(filled_to_worker().size() == std::variant_size_v<ToWorker>);
  CHECK(filled_from_worker().size() == std::variant_size_v<FromWorker>);
}

TEST_CASE("work_codec: cut and flipped messages") {
  for_each_message([](const auto& message, auto seal_bytes, auto open) {
    CAPTURE(message.index());
    const Bytes bytes = seal_bytes(message);
    check_cuts_are_refused(bytes, open);
    check_flips_are_survived(bytes, 1'000, seal_bytes, open);
  });
}

TEST_CASE("work_codec: a message is told by its schema, in its direction only") {
  std::set<uint64_t> schemas;
  for (const ToWorker& message : filled_to_worker()) {
    const Envelope envelope = seal(message);
    CHECK(schemas.insert(envelope.schema).second);
    const auto refused = open_from_worker(envelope);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kCorruption);
  }
  for (const FromWorker& message : filled_from_worker()) {
    const Envelope envelope = seal(message);
    CHECK(schemas.insert(envelope.schema).second);
    CHECK_FALSE(open_to_worker(envelope));
  }
  const auto unknown = open_to_worker({.schema = 0xabc});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().message.find("schema 0xabc is no message to a worker") !=
        std::string::npos);
}

TEST_CASE("work_codec: a sealed message survives the envelope's journey") {
  Envelope envelope = seal(FromWorker(filled_groups_generated()));
  envelope.job = 9;
  envelope.epoch = 4;
  envelope.request_id = 77;
  const auto received = decode_envelope(encode(envelope));
  REQUIRE(received);
  CHECK(received->request_id == 77);
  const auto message = open_from_worker(*received);
  REQUIRE(message);
  CHECK(same(*message, FromWorker(filled_groups_generated())));
}

TEST_CASE("work_codec: every code of an error comes back, an unknown one is kInternal") {
  for (uint8_t code = 1; code <= static_cast<uint8_t>(ErrorCode::kUnavailable); ++code) {
    const auto message = open_from_worker(seal(FromWorker(WorkFailed{{ErrorCode{code}, "m"}})));
    REQUIRE(message);
    CHECK(std::get<WorkFailed>(*message).error.code == ErrorCode{code});
  }
  for (uint8_t code : {0, 10, 255}) {
    capnp::MallocMessageBuilder builder;
    auto failure = builder.initRoot<wire::WorkFailed>().initError();
    failure.setCode(code);
    failure.setMessage("from tomorrow");
    const auto message = open_from_worker(
        {.schema = capnp::typeId<wire::WorkFailed>(), .payload = wire::to_bytes(builder)});
    REQUIRE(message);
    CHECK(std::get<WorkFailed>(*message).error.code == ErrorCode::kInternal);
    CHECK(std::get<WorkFailed>(*message).error.message == "from tomorrow");
  }
}

TEST_CASE("work_codec: a long complaint is cut and passed on") {
  const std::string text(2 * kTextBytesMax, 'x');
  const auto message = open_from_worker(seal(FromWorker(WorkFailed{{ErrorCode::kInternal, text}})));
  REQUIRE(message);
  CHECK(std::get<WorkFailed>(*message).error.message.size() == kTextBytesMax);
}

// What opens the message that `fill` writes.
template <class Wire, class Open>
std::string complaint_about(std::function<void(typename Wire::Builder)> fill, Open open) {
  capnp::MallocMessageBuilder builder;
  fill(builder.initRoot<Wire>());
  const auto message = open({.schema = capnp::typeId<Wire>(), .payload = wire::to_bytes(builder)});
  REQUIRE_FALSE(message);
  CHECK(message.error().code == ErrorCode::kCorruption);
  return message.error().message;
}

TEST_CASE("work_codec: what no worker may learn or head may store is refused") {
  const auto has = [](const std::string& text, const char* word) {
    CAPTURE(text);
    CHECK(text.find(word) != std::string::npos);
  };
  has(complaint_about<wire::GroupsGenerated>(
          [](auto m) { m.initGroups(1)[0].initResponses(1)[0].initTokens(2); }, open_from_worker),
      "0 logprobs for 2 tokens");
  has(complaint_about<wire::GroupsGenerated>(
          [](auto m) {
            auto response = m.initGroups(1)[0].initResponses(1)[0];
            response.initTokens(1).set(0, -1);
            response.initLogprobs(1);
          },
          open_from_worker),
      "negative token");
  has(complaint_about<wire::GenerateGroups>(
          [](auto m) { m.initGroups(1)[0].initPrompt(1).set(0, -7); }, open_to_worker),
      "prompt has a negative token");
  has(complaint_about<wire::GenerateGroups>(
          [](auto m) { m.initGroups(1)[0].setPurpose(static_cast<wire::GroupPurpose>(2)); },
          open_to_worker),
      "purpose 2 is unknown");
  has(complaint_about<wire::GenerateGroups>([](auto m) { m.initGroups(kStepGroupsMax + 1); },
                                            open_to_worker),
      "groups has 65537 entries");
  has(complaint_about<wire::LearnShare>([](auto m) { m.initOwn(1)[0].initLossMask(1); },
                                        open_to_worker),
      "1 loss_mask entries and 0 logprobs for 0 tokens");
  has(complaint_about<wire::LearnShare>(
          [](auto m) {
            auto sequence = m.initLater(1)[0];
            sequence.initTokens(2);
            sequence.initLossMask(2);
            sequence.initRolloutLogprobs(1);
          },
          open_to_worker),
      "2 loss_mask entries and 1 logprobs for 2 tokens");
  has(complaint_about<wire::LearnShare>(
          [](auto m) {
            auto sequence = m.initOwn(1)[0];
            sequence.initTokens(1);
            sequence.initLossMask(1)[0] = 2;
          },
          open_to_worker),
      "neither 0 nor 1");
  has(complaint_about<wire::LearnShare>(
          [](auto m) {
            auto facts = m.initSequences(1)[0];
            facts.setNumTokens(3);
            facts.setNumLearned(4);
          },
          open_to_worker),
      "a sequence of 3 tokens, 4 of them learned");
  has(complaint_about<wire::GroupsJudged>(
          [](auto m) { m.initGroups(1)[0].initVerdicts(1)[0].initParts(1)[0].setKind(5); },
          open_from_worker),
      "verdict kind 5 is unknown");
}

}  // namespace
}  // namespace troupe
