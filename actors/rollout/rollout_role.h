// What a worker does as a rollout: samples groups with one version of the policy, its learner's
// where it has one, else one that it has loaded. A thin shell around model::Generator.
#pragma once

#include <functional>
#include <memory>

#include "actors/learner/learner_role.h"
#include "model/generation/generator.h"
#include "schemas/result.h"
#include "schemas/work.h"

namespace troupe::actors {

class RolloutRole {
 public:
  // `learner` is the one of the same process, if there is one, and outlives it.
  static Result<std::unique_ptr<RolloutRole>> create(const kernels::Backend& backend,
                                                     const Lease& lease,
                                                     const LearnerRole* learner);
  ~RolloutRole();

  // kCorruption when the file does not hold the weights that it should.
  Result<PolicyLoaded> load(const LoadPolicy& request);

  struct Follower {
    // Groups as they are finished and parts of others, from any thread, one call at a time.
    std::function<void(GroupsGenerated)> send{};
    std::function<bool(int64_t done, int64_t total)> progressed{};  // False: give up.
    // Another version is there, asked from any thread; and load() it: what is under way goes on by
    // it, and each response says which tokens are by which version. May be left out.
    std::function<bool()> has_next_policy{};
    std::function<Status()> take_next_policy{};
  };
  // The last message has `is_last`, unless it was given up.
  Status generate(const GenerateGroups& request, uint64_t seed, const Follower& follower);

 private:
  class OwnWeights;
  RolloutRole(const Lease& lease, const model::TransformerConfig& config,
              const LearnerRole* learner);

  const LearnerRole* learner_;
  const model::TransformerConfig config_;
  model::Threads threads_;
  std::unique_ptr<model::Generator> generator_{};
  std::unique_ptr<OwnWeights> own_{};  // Without a learner.
};

}  // namespace troupe::actors
