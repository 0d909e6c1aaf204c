#include "cluster/planner/played_answers.h"

#include <algorithm>
#include <cmath>

#include "kernels/random.h"
#include "model/tokenizer/byte_tokenizer.h"

namespace troupe::cluster {
namespace {

// Of the streams of a plan, one that no prompt of a round has.
constexpr uint32_t kVerdictTag = kernels::RandomStream::kBMax - 1;

VerdictPart played_part(const RewardSpec& reward, bool is_right) {
  VerdictPart part{.name = reward.name, .weight = static_cast<float>(reward.weight)};
  if (reward.verifier == "math") {
    part.kind = is_right ? VerdictKind::kEqual : VerdictKind::kDifferent;
  } else if (reward.verifier == "code") {
    part.kind = is_right ? VerdictKind::kPassed : VerdictKind::kWrongAnswer;
  } else {
    part.kind = VerdictKind::kWellFormed;
  }
  part.value = is_right || part.kind == VerdictKind::kWellFormed ? 1.0f : 0.0f;
  return part;
}

}  // namespace

GroupsJudged played_verdicts(const JudgeGroups& judge, const std::vector<RewardSpec>& rewards,
                             uint64_t seed) {
  GroupsJudged judged;
  for (const GroupToJudge& group : judge.groups) {
    JudgedGroup one{.id = group.id, .purpose = group.purpose};
    const kernels::RandomStream random(seed, kernels::StreamId::kPlan,
                                       number(group.id.round) << 24 | group.id.ordinal,
                                       kVerdictTag);
    for (uint32_t i = 0; i < group.responses.size(); ++i) {
      const bool is_right = random.uniform_at(i) < 0.5;
      Verdict verdict;
      for (const RewardSpec& reward : rewards)
        verdict.parts.push_back(played_part(reward, is_right));
      one.verdicts.push_back(std::move(verdict));
    }
    judged.groups.push_back(std::move(one));
  }
  return judged;
}

SampledResponse played_response(double length, int64_t scale, uint32_t most,
                                const std::vector<std::pair<PolicyVersion, double>>& versions) {
  const auto scaled = [&](double tokens) { return tokens / static_cast<double>(scale); };
  const auto size = static_cast<uint32_t>(std::clamp(std::ceil(scaled(length)), 1.0, double(most)));
  SampledResponse response;
  response.tokens.assign(size, 'a');
  response.tokens.back() = model::ByteTokenizer::kEos;
  response.logprobs.assign(size, -0.5f);
  if (versions.size() < 2) return response;
  uint32_t begin = 0;
  for (size_t i = 0; i < versions.size(); ++i) {
    const bool is_last = i + 1 == versions.size();
    const uint32_t end =
        is_last ? size : std::min(size, static_cast<uint32_t>(scaled(versions[i + 1].second)));
    if (end <= begin) continue;
    response.versions.push_back({versions[i].first, begin, end});
    begin = end;
  }
  return response;
}

}  // namespace troupe::cluster
