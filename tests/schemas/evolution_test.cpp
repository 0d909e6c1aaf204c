// Programs of different ages read each other's records: today's decoder meets bytes of a schema
// that has fields more or less.
#include <doctest/doctest.h>

#include "schemas/metrics_wire.h"
#include "schemas/records_codec.h"
#include "schemas/records_wire.h"
#include "tests/schemas/evolution.capnp.h"
#include "tests/schemas/filled.h"

namespace troupe {
namespace {

TEST_CASE("evolution: a newer record is read without what it has more") {
  const StepRecord sent = filled_step_record();
  capnp::MallocMessageBuilder step;
  auto newer = step.initRoot<wire::NewerStepRecord>();
  to_wire(newer.initMetrics(), sent.metrics);
  auto consumed = newer.initConsumed(2);
  to_wire(consumed[0], sent.consumed[0]);
  to_wire(consumed[1], sent.consumed[1]);
  newer.setRemark("from tomorrow");
  newer.setTokensPadded(99);
  const auto record = decode_step_record(wire::to_bytes(step));
  REQUIRE(record);
  CHECK(same(*record, sent));

  capnp::MallocMessageBuilder attempt;
  auto root = attempt.initRoot<wire::NewerAttemptRecord>();
  to_wire(root.initId(), filled_attempt_record().id);
  root.setFaults(filled_attempt_record().faults);
  root.setKills(filled_attempt_record().kills);
  root.setLastWorker(4);
  root.setRemark("from tomorrow");
  const auto attempts = decode_attempt_record(wire::to_bytes(attempt));
  REQUIRE(attempts);
  CHECK(same(*attempts, filled_attempt_record()));
}

TEST_CASE("evolution: what an older record lacks is the default") {
  capnp::MallocMessageBuilder step;
  to_wire(step.initRoot<wire::OlderStepRecord>().initMetrics(), filled_step_metrics());
  const auto record = decode_step_record(wire::to_bytes(step));
  REQUIRE(record);
  CHECK(same(*record, StepRecord{.metrics = filled_step_metrics()}));

  capnp::MallocMessageBuilder attempt;
  attempt.initRoot<wire::OlderAttemptRecord>().setFaults(3);
  const auto attempts = decode_attempt_record(wire::to_bytes(attempt));
  REQUIRE(attempts);
  CHECK(same(*attempts, AttemptRecord{.faults = 3}));
}

TEST_CASE("evolution: elements of lists grow and shrink like other structs") {
  capnp::MallocMessageBuilder newer;
  auto newer_trace = newer.initRoot<wire::NewerEvaluationRecord>().initTraces(2)[1];
  newer_trace.setPrompt("p");
  newer_trace.setGold("g");
  newer_trace.setIsSolved(true);
  newer_trace.setScore(0.5);
  const auto from_newer = decode_evaluation_record(wire::to_bytes(newer));
  REQUIRE(from_newer);
  CHECK(same(from_newer->traces,
             std::vector<Trace>{{}, {.prompt = "p", .gold = "g", .is_solved = true}}));

  capnp::MallocMessageBuilder older;
  auto older_trace = older.initRoot<wire::OlderEvaluationRecord>().initTraces(2)[1];
  older_trace.setResponse("r");
  const auto from_older = decode_evaluation_record(wire::to_bytes(older));
  REQUIRE(from_older);
  CHECK(same(from_older->traces, std::vector<Trace>{{}, {.response = "r"}}));
}

}  // namespace
}  // namespace troupe
