// A small job, and what every part of a controller needs: the bill, commits and an outbox.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "actors/controller/commits.h"
#include "actors/controller/controller_command.h"
#include "actors/controller/timetable.h"
#include "actors/job/job_data.h"
#include "schemas/metrics_codec.h"
#include "schemas/records_codec.h"
#include "schemas/work.h"
#include "tests/support/recording_sink.h"

namespace troupe::tests {

// Reinforcement only: six steps, each of one round of two groups of two.
inline JobSpec small_job() {
  JobSpec job;
  job.grpo.steps = 6;
  job.grpo.prompts_per_round = 2;
  job.grpo.group_size = 2;
  job.rollout.max_response_tokens = 8;
  job.data.shuffle = false;
  job.eval.every_steps = 2;
  job.eval.problems = 2;
  job.rewards = {{.name = "accuracy", .verifier = "math"}};
  return job;
}

inline actors::JobData small_data() {
  actors::JobData data;
  for (const char* text : {"a", "b", "c", "d"}) {
    data.train.push_back({.tokens = {text[0]}, .text = text, .gold = "1"});
    data.held_out.push_back({.tokens = {text[0]}, .text = text, .gold = "2"});
  }
  return data;
}

struct ControllerParts {
  JobSpec job = small_job();
  actors::JobData data = small_data();
  actors::Timetable timetable{job};
  actors::Outbox outbox{};
  actors::Commits commits{{.job_id = 1, .epoch = 2}, job.prices, {}, outbox};
  RecordingSink sink{};
};

// Those of one kind, in order.
template <class Command>
std::vector<Command> all_of(const std::vector<actors::ControllerCommand>& commands) {
  std::vector<Command> found;
  for (const auto& command : commands) {
    if (const auto* one = std::get_if<Command>(&command)) found.push_back(*one);
  }
  return found;
}

// What a batch writes of a kind, as `decode` reads it; it must be there.
template <class Decode>
auto written(const actors::Batch& batch, actors::RecordKind kind, Decode decode) {
  const auto found = std::find_if(batch.writes.begin(), batch.writes.end(),
                                  [&](const auto& one) { return one.key.kind == kind; });
  REQUIRE(found != batch.writes.end());
  auto record = decode(found->value);
  REQUIRE(record);
  return *record;
}

inline SampledResponse response(const std::string& text,
                                FinishReason finish_reason = FinishReason::kStop) {
  SampledResponse made;
  made.tokens.assign(text.begin(), text.end());
  made.logprobs.assign(text.size(), -0.5f);
  made.finish_reason = finish_reason;
  return made;
}

inline Verdict verdict(VerdictKind kind, float value = 0) {
  return {.parts = {{.name = "accuracy", .kind = kind, .value = value}}};
}
inline Verdict right() { return verdict(VerdictKind::kEqual, 1); }
inline Verdict wrong() { return verdict(VerdictKind::kDifferent); }
inline Verdict failed() { return verdict(VerdictKind::kInfraError); }

}  // namespace troupe::tests
