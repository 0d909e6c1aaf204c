// What every verifier is: a judgement of one response under one reward of a job.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "schemas/job.h"
#include "schemas/verdict.h"
#include "schemas/work.h"

namespace troupe::actors {

class Sandbox;

// All views are the caller's. The text is the policy's and may be hostile, whatever its bytes.
struct ResponseToJudge {
  std::string_view prompt{};  // The question as text.
  std::string_view text{};    // Without the end token.
  std::string_view gold{};
  int64_t num_tokens = 0;     // The end token included.
  bool is_truncated = false;  // It ended by the limit.
};

// Used by one thread at a time.
class Verifier {
 public:
  virtual ~Verifier() = default;

  // Kind, value and reason; name and weight are the job's and filled in by the judge. A failure of
  // the verifier itself is kInfraError with a reason, never a zero.
  virtual VerdictPart verify(const ResponseToJudge& response) = 0;
};

// What verifiers are made with.
struct VerifierTools {
  Sandbox* sandbox = nullptr;  // Not null for those that ask for one; outlives them.
  std::vector<TrustedProgram> trusted_programs{};
};

}  // namespace troupe::actors
