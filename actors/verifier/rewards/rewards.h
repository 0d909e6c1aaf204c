// One row of the verifiers' table per file of this folder.
#pragma once

#include "actors/verifier/verifier_table.h"

namespace troupe::actors {

VerifierEntry math_reward();
VerifierEntry code_reward();
VerifierEntry r1_format_reward();
VerifierEntry language_reward();
VerifierEntry length_reward();
VerifierEntry repetition_reward();
VerifierEntry command_reward();

// Verifiers that keep nothing between two responses.
class FunctionVerifier final : public Verifier {
 public:
  explicit FunctionVerifier(std::function<VerdictPart(const ResponseToJudge&)> function)
      : function_(std::move(function)) {}
  VerdictPart verify(const ResponseToJudge& response) override { return function_(response); }

 private:
  std::function<VerdictPart(const ResponseToJudge&)> function_;
};

inline VerifierEntry::Made make_function_verifier(
    std::function<VerdictPart(const ResponseToJudge&)> function) {
  return std::unique_ptr<Verifier>(std::make_unique<FunctionVerifier>(std::move(function)));
}

}  // namespace troupe::actors
