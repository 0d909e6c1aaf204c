// DeepSeek-R1's format reward.
#include "actors/verifier/format_verdict.h"
#include "actors/verifier/rewards/rewards.h"

namespace troupe::actors {

VerifierEntry r1_format_reward() {
  return {
      .name = "r1_format",
      .comment = "exactly one <think> part and then one <answer> part",
      .make =
          [](const RewardSpec&, const Settings&, const VerifierTools&) {
            return make_function_verifier(
                [](const ResponseToJudge& response) { return verify_r1_format(response.text); });
          },
  };
}

}  // namespace troupe::actors
