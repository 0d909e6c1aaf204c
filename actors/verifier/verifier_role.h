// What a worker does as a verifier: a verdict for every response of a group.
#pragma once

#include <memory>
#include <vector>

#include "actors/verifier/judge.h"
#include "schemas/job.h"
#include "schemas/work.h"

namespace troupe::actors {

class VerifierRole {
 public:
  struct Options {
    int threads = 1;  // Used where verifiers wait for programs rather than compute.
    std::vector<TrustedProgram> trusted_programs{};
  };

  // Fails as Judge::create does.
  static Result<std::unique_ptr<VerifierRole>> create(const std::vector<RewardSpec>& rewards,
                                                      Options options);

  // In the order that they were asked in.
  GroupsJudged judge(const JudgeGroups& request);

 private:
  explicit VerifierRole(std::vector<std::unique_ptr<Judge>> judges) : judges_(std::move(judges)) {}

  std::vector<std::unique_ptr<Judge>> judges_;  // One per thread.
};

}  // namespace troupe::actors
