#include "actors/verifier/verifier_role.h"

#include <chrono>

#include "actors/verifier/reward.h"

namespace troupe::actors {

GroupsJudged judge_groups(const std::vector<RewardSpec>& rewards, const JudgeGroups& request) {
  const auto start = std::chrono::steady_clock::now();
  GroupsJudged judged;
  for (const GroupToJudge& group : request.groups) {
    JudgedGroup one{.id = group.id, .purpose = group.purpose};
    for (const std::string& response : group.responses) {
      one.verdicts.push_back(judge(rewards, response, group.gold));
    }
    judged.groups.push_back(std::move(one));
  }
  judged.core_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return judged;
}

}  // namespace troupe::actors
