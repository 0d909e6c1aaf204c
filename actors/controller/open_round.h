// One round that is not wholly learned: where each of its groups is, and what learning gets of it
// once all are decided.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "actors/controller/round_facts.h"
#include "actors/controller/round_plan.h"
#include "actors/replay/job_history.h"
#include "model/tokenizer/tokenizer.h"
#include "schemas/job.h"
#include "schemas/records.h"

namespace troupe::actors {

struct GroupOfRound {
  enum class Place { kWanted, kGenerating, kJudging, kCommitting, kDurable };
  Place place = Place::kWanted;
  int infra_errors = 0;
  bool is_again = false;     // It had been begun before.
  int64_t tokens_known = 0;  // Of responses that are not finished, ...
  int64_t tokens_kept = 0;   // ... and when it was begun last.
  GroupRecord record{};
  std::vector<std::byte> encoded{};
  bool has_variance = false;
  bool is_dropped = false;  // For a reason of its own, not for its rewards.
};

struct OpenRound {
  OpenRound(const JobSpec& of_job, Round of_round);

  // What the store had of it; nothing is known of its groups before. Segments of tokens that are
  // not of the vocabulary, or that cannot be for another reason, are passed over.
  void load(RoundHistory history, int64_t vocab_size);
  bool is_complete() const { return is_loaded && plan.is_complete(); }
  // A wanted group is generated from now on; what there is already of its responses.
  ResponseSegments begin(uint32_t ordinal);
  // A group is durable.
  void admit(uint32_t ordinal);

  // For a complete round.
  void complete_metrics(const model::Tokenizer& tokenizer);
  Minibatch minibatch(int64_t index) const;
  RoundFigures figures() const;

  const JobSpec& job;
  const Round round;
  bool is_loaded = false;
  RoundPlan plan;
  std::map<uint32_t, GroupOfRound> groups{};  // By ordinal.
  bool was_begun = false;
  std::map<uint32_t, ResponseSegments> begun{};  // By ordinal; what the store had.
  uint32_t next_segments = 0;                    // Number of their next record.
  double asked_at = 0;
  double generate_seconds = 0;
  double verify_seconds = 0;
  int64_t sequences_generated = 0, sequences_total = 0;
  StepMetrics metrics{};  // The fields that belong to the round, once it is complete.
  bool has_metrics = false;
};

}  // namespace troupe::actors
