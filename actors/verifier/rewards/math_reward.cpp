// The accuracy of a mathematical answer.
#include "actors/verifier/math_verdict.h"
#include "actors/verifier/rewards/rewards.h"

namespace troupe::actors {
namespace {

bool is_readable(std::string_view gold) {
  return verify_math_answer("0", gold).kind != VerdictKind::kGoldUnparseable;
}

}  // namespace

VerifierEntry math_reward() {
  return {
      .name = "math",
      .comment = "the final answer equals the reference answer mathematically",
      .is_readable_gold = is_readable,
      .make =
          [](const RewardSpec&, const Settings&, const VerifierTools&) {
            return make_function_verifier([](const ResponseToJudge& response) {
              return verify_math(response.text, response.gold);
            });
          },
  };
}

}  // namespace troupe::actors
