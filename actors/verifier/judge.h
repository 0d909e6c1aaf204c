// From a job's [rewards] to verdicts: what all of its verifiers say about one response.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "actors/verifier/sandbox/box.h"
#include "actors/verifier/verifier.h"
#include "schemas/job.h"
#include "schemas/result.h"

namespace troupe::actors {

struct JudgeOptions {
  // Shared by the judges of a process; not set: opened where a reward needs one.
  std::shared_ptr<Sandbox> sandbox{};
  std::vector<TrustedProgram> trusted_programs{};
};

// Made once per job and thread, and used by one thread at a time.
class Judge {
 public:
  // kInvalidArgument for a reward that is wrong, kInternal where this machine cannot isolate a
  // program as a reward demands.
  static Result<std::unique_ptr<Judge>> create(const std::vector<RewardSpec>& rewards,
                                               JudgeOptions options = {});

  // One part per reward, in their order, named and weighted by the job. A failed part is worth 0
  // and leaves the others as they are.
  Verdict judge(const ResponseToJudge& response);

 private:
  struct Part {
    std::string name{};
    float weight = 1;
    std::unique_ptr<Verifier> verifier{};
  };

  Judge(std::shared_ptr<Sandbox> sandbox, std::vector<Part> parts)
      : sandbox_(std::move(sandbox)), parts_(std::move(parts)) {}

  std::shared_ptr<Sandbox> sandbox_;  // Outlives the verifiers that use it.
  std::vector<Part> parts_;
};

// The sandbox that the rewards need; null where none needs any. kInternal as above.
Result<std::shared_ptr<Sandbox>> open_sandbox_for(const std::vector<RewardSpec>& rewards);

}  // namespace troupe::actors
