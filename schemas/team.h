// What the head and the ranks of a learner's team say to each other, beyond what every worker hears
// (work.h).
//
//   rank                        head
//                     ◀──       Lease          with a seat
//     RankSeated      ──▶                      where the others reach it
//                     ◀──       JoinTeam       once all are seated: where they all are
//     WorkerReady     ──▶                      the same version and weights from each
//                     ◀──       LearnShare     of the same step, to each its own sequences
//     StepLearned     ──▶                      the same bits from each
//                     ◀──       SavePoint
//     PointWritten    ──▶                      its own files of the point
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "schemas/ids.h"
#include "schemas/metrics.h"
#include "schemas/records.h"

namespace troupe {

// A rank's place in its team for as long as that lasts. Secret but for the public keys.
struct TeamSeat {
  uint32_t rank = 0;
  uint64_t epoch = 0;                      // Of the team.
  std::string address{};                   // Where it is to be reached: "ipc:///a/folder".
  std::vector<std::string> public_keys{};  // Of all ranks, by rank; empty: it is alone.
  std::string secret_key{};                // Of this rank.
  std::string token{};                     // What ranks of one host show.

  uint32_t num_ranks() const {
    return public_keys.empty() ? 1 : static_cast<uint32_t>(public_keys.size());
  }
  bool operator==(const TeamSeat&) const = default;
};

struct RankSeated {
  std::string endpoint{};
};

struct JoinTeam {
  std::vector<std::string> endpoints{};  // By rank.
};

// Of any sequence of a minibatch, which all ranks are told.
struct SequenceFacts {
  uint32_t num_tokens = 0;   // It fixes how the minibatch is packed.
  uint32_t num_learned = 0;  // Of these.
  // Steps between the versions that wrote it and the step's own, over the learned tokens.
  double staleness_mean = 0;
  uint32_t staleness_max = 0;
  bool operator==(const SequenceFacts&) const = default;
};

// A demonstration, or a trajectory with what its group's rewards make of it.
struct SequenceToLearn {
  uint32_t index = 0;  // In the minibatch.
  std::vector<int32_t> tokens{};
  std::vector<uint8_t> loss_mask{};  // One per token: 1 = learned.
  double token_weight = 0;           // Of each learned token in the loss.
  // Of trajectories.
  TrajectoryId id{};
  std::vector<float> rollout_logprobs{};  // One per token.
  double advantage = 0;
  bool is_rescored = false;  // Before: compare its log-probabilities bit by bit, or fail.
};

// One optimizer step, as one rank is told of it.
struct LearnShare {
  PolicyVersion version{};  // After the step; the learner must be at the one before.
  Stage stage = Stage::kSft;
  double learning_rate = 0;
  double balance_bias_rate = 0;
  bool begins_stage = false;         // Before: moments start again, the reference is the current.
  bool refreshes_reference = false;  // After: the reference becomes the new version.
  bool begins_round = false;         // Before: what earlier rounds left to be learned is forgotten.
  double advantage_abs_mean = 0;     // Of the minibatch.
  std::vector<SequenceFacts> sequences{};  // Of the minibatch, in order.
  std::vector<SequenceToLearn> own{};      // Those that this rank learns, in order.
  // Those that it will learn in the round's later steps, where an off-policy correction wants their
  // log-probabilities before the weights move.
  std::vector<SequenceToLearn> later{};
};

// A rank's files of a recovery point are on the disk.
struct PointWritten {
  PolicyVersion version{};
  std::string weights_sha256{};         // Of the published weights, of which all ranks have all.
  std::vector<PointPolicy> policies{};  // From the rank that writes them.
  std::vector<PointFile> files{};
  double core_seconds = 0;
};

}  // namespace troupe
