#include "schemas/metrics_codec.h"

#include <doctest/doctest.h>

#include <bit>
#include <limits>

#include "schemas/bounds.h"
#include "schemas/metrics_wire.h"
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
  check(filled_step_metrics(), decode_step_metrics);
  check(filled_eval_metrics(), decode_eval_metrics);
  check(filled_trace(), decode_trace);
  check(filled_ledger(), decode_ledger);
  check(filled_worker_status(), decode_worker_status);
  check(filled_run_sample(), decode_run_sample);
}

TEST_CASE("metrics_codec: every field comes back") {
  for_each_kind([](const auto& value, auto decode) {
    check_round_trip(value, encoded<std::decay_t<decltype(value)>>, decode);
    const std::decay_t<decltype(value)> untouched{};
    check_round_trip(untouched, encoded<std::decay_t<decltype(value)>>, decode);
  });
}

TEST_CASE("metrics_codec: cut and flipped messages") {
  for_each_kind([](const auto& value, auto decode) {
    const Bytes bytes = encode(value);
    check_cuts_are_refused(bytes, decode);
    check_flips_are_survived(bytes, 2'000, encoded<std::decay_t<decltype(value)>>, decode);
  });
}

TEST_CASE("metrics_codec: not a number comes back with its bits") {
  const uint64_t bits = 0xfff8dead'beef0001;
  StepMetrics metrics;
  metrics.loss = std::bit_cast<double>(bits);
  metrics.grad_norm = std::numeric_limits<double>::infinity();
  const auto received = decode_step_metrics(encode(metrics));
  REQUIRE(received);
  CHECK(std::bit_cast<uint64_t>(received->loss) == bits);
  CHECK(received->grad_norm == metrics.grad_norm);
}

TEST_CASE("metrics_codec: an unknown stage, a name twice and too many names are refused") {
  capnp::MallocMessageBuilder step;
  step.initRoot<wire::StepMetrics>().setStage(static_cast<wire::Stage>(2));
  const auto unknown = decode_step_metrics(wire::to_bytes(step));
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().message.find("stage 2 is unknown") != std::string::npos);

  capnp::MallocMessageBuilder twice;
  auto counts = twice.initRoot<wire::Ledger>().initVerdicts(2);
  counts[0].setName("equal");
  counts[1].setName("equal");
  const auto repeated = decode_ledger(wire::to_bytes(twice));
  REQUIRE_FALSE(repeated);
  CHECK(repeated.error().message.find("verdicts has a name twice") != std::string::npos);

  capnp::MallocMessageBuilder many;
  many.initRoot<wire::Ledger>().initTrajectoriesDropped(kLedgerNamesMax + 1);
  const auto refused = decode_ledger(wire::to_bytes(many));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("trajectories_dropped has 1025 entries") != std::string::npos);
}

TEST_CASE("metrics_codec: a text for people is cut between two characters") {
  WorkerStatus status = filled_worker_status();
  status.activity = std::string(kTextBytesMax - 1, 'x') + "\u00e9 and so on";
  const auto received = decode_worker_status(encode(status));
  REQUIRE(received);
  CHECK(received->activity == std::string(kTextBytesMax - 1, 'x'));
}

}  // namespace
}  // namespace troupe
