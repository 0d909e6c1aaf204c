#include "actors/verifier/verifier_role.h"

#include <ctime>

#include "actors/verifier/reward.h"

namespace troupe::actors {
namespace {

// Processor time, which is what a verifier is billed for.
double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

GroupsJudged judge_groups(const std::vector<RewardSpec>& rewards, const JudgeGroups& request) {
  const double start = cpu_seconds();
  GroupsJudged judged;
  for (const GroupToJudge& group : request.groups) {
    JudgedGroup one{.id = group.id, .purpose = group.purpose};
    for (const std::string& response : group.responses) {
      one.verdicts.push_back(judge(rewards, response, group.gold));
    }
    judged.groups.push_back(std::move(one));
  }
  judged.core_seconds = cpu_seconds() - start;
  return judged;
}

}  // namespace troupe::actors
