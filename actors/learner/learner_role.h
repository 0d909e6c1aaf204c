// What a worker does as a learner: turns each group's rewards into advantages, updates the policy,
// publishes it and writes recovery points. A thin shell around model::Learner.
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
  // it. kCorruption when the point is damaged.
  static Result<std::unique_ptr<LearnerRole>> create(const kernels::Backend& backend,
                                                     const Lease& lease);

  PolicyVersion version() const { return version_; }
  const model::PolicyWeights& weights() const { return learner_->weights(); }
  WorkerReady ready() const;

  // kInternal, saying where, when a recorded log-probability is not the learner's bit for bit, or
  // when a correction needs log-probabilities of a group that the round's first step was not given;
  // kCorruption when a group cannot be decoded.
  Result<StepLearned> learn(const LearnStep& step);
  Result<PolicyPublished> publish(const PublishPolicy& request);
  Result<PointSaved> save(const SavePoint& request);

  std::string weights_sha256() const;

 private:
  LearnerRole(const kernels::Backend& backend, const Lease& lease,
              const model::TransformerConfig& config);
  Status rescore(std::vector<const Trajectory*> sampled);
  bool has_correction() const { return job_.grpo.off_policy_correction != "none"; }
  bool begins_round() const;  // The next step is the first of its round.
  Status score_later_groups(const LearnStep& step);
  Result<std::vector<std::vector<float>>> take_old_logprobs(std::span<const GroupRecord> groups);

  const JobSpec job_;
  const model::TransformerConfig config_;
  const model::ParameterLayout layout_;
  model::PolicyText text_{};  // Saved with the weights.
  model::Threads threads_;
  std::optional<model::Learner> learner_{};
  PolicyVersion version_{};
  // Log-probabilities under the version that the round's learning began with, of its later
  // minibatches, by group and sample. Each is let go by the step that uses it.
  std::map<GroupId, std::vector<std::vector<float>>> old_logprobs_{};
};

}  // namespace troupe::actors
