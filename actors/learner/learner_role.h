// What a worker does as a learner, alone or as one rank of a team: updates the policy, publishes it
// and writes recovery points. A thin shell around model::Learner.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "model/formats/policy_text.h"
#include "model/training/learner.h"
#include "schemas/result.h"
#include "schemas/work.h"

namespace troupe::actors {

// The architecture that a job trains.
Result<model::TransformerConfig> policy_config(const JobSpec& job);

class LearnerRole {
 public:
  // Starts from the lease's recovery point, or from the job's initial weights. `backend` outlives
  // it, and so does the seat's communicator, with which all ranks of the team do this together.
  // kCorruption when the point is damaged; else the communicator's errors.
  static Result<std::unique_ptr<LearnerRole>> create(const kernels::Backend& backend,
                                                     const Lease& lease, model::Seat seat = {});

  PolicyVersion version() const { return version_; }
  const model::PolicyWeights& weights() const { return learner_->weights(); }

  // All ranks of a team do these together. Errors are the communicator's, and kInternal, saying
  // where, when a recorded log-probability is not the learner's bit for bit, when a correction
  // needs log-probabilities of a trajectory that the round's first step was not given, or when the
  // share is not what this rank learns.
  Result<WorkerReady> ready();
  Result<StepLearned> learn(const LearnShare& share);
  // Once more after kExhausted does no harm to the others, who have done their part.
  Result<PointWritten> save(const SavePoint& request);

  // By one rank, for all.
  Result<PolicyPublished> publish(const PublishPolicy& request);

  // Of the published weights.
  Result<std::string> weights_sha256();

 private:
  LearnerRole(const Lease& lease, const model::TransformerConfig& config, model::Seat seat);
  Result<std::vector<model::LearnSequence>> sequences_of(const LearnShare& share) const;
  Status rescore(std::span<const SequenceToLearn> own);
  bool has_correction() const { return job_.grpo.off_policy_correction != "none"; }
  void score_later(std::span<const SequenceToLearn> later);
  Result<std::vector<std::vector<float>>> take_old_logprobs(std::span<const SequenceToLearn> own);

  const JobSpec job_;
  const model::TransformerConfig config_;
  const model::ParameterLayout layout_;
  const model::Seat seat_;
  model::PolicyText text_{};  // Saved with the weights.
  model::Threads threads_;
  std::optional<model::Learner> learner_{};
  PolicyVersion version_{};
  std::optional<std::string> weights_sha256_{};  // Of the current version, once it was wanted.
  // Why it is of no use any more: it has lost its team in the middle of something. Whatever else it
  // was asked for fails by the same.
  std::optional<Error> broken_{};
  // Log-probabilities under the version that the round's learning began with, of what this rank
  // learns later in the round. Each is let go by the step that uses it.
  std::map<TrajectoryId, std::vector<float>> old_logprobs_{};
};

}  // namespace troupe::actors
