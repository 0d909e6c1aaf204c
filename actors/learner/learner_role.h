// What a worker does as a learner: turns each group's rewards into advantages, updates the policy,
// publishes it and writes recovery points. A thin shell around model::Learner.
#pragma once

#include <memory>

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

  // kInternal, saying where, when a recorded log-probability is not the learner's bit for bit;
  // kCorruption when a group cannot be decoded.
  Result<StepLearned> learn(const LearnStep& step);
  Result<PolicyPublished> publish(const PublishPolicy& request);
  Result<PointSaved> save(const SavePoint& request);

  std::string weights_sha256() const;

 private:
  LearnerRole(const kernels::Backend& backend, const Lease& lease,
              const model::TransformerConfig& config);
  Status rescore(std::vector<const Trajectory*> sampled);

  const JobSpec job_;
  const model::TransformerConfig config_;
  const model::ParameterLayout layout_;
  model::PolicyText text_{};  // Saved with the weights.
  model::Threads threads_;
  std::optional<model::Learner> learner_{};
  PolicyVersion version_{};
};

}  // namespace troupe::actors
