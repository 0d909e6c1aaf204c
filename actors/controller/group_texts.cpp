#include "actors/controller/group_texts.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

namespace troupe::actors {
namespace {

bool are_sane(const std::vector<int32_t>& tokens, const std::vector<float>& logprobs,
              int64_t vocab_size) {
  return !tokens.empty() && tokens.size() == logprobs.size() &&
         std::all_of(tokens.begin(), tokens.end(),
                     [&](int32_t token) { return token >= 0 && token < vocab_size; }) &&
         std::all_of(logprobs.begin(), logprobs.end(),
                     [](float logprob) { return std::isfinite(logprob); });
}

}  // namespace

bool is_sane(const GeneratedGroup& group, int64_t vocab_size) {
  return std::all_of(group.responses.begin(), group.responses.end(),
                     [&](const SampledResponse& response) {
                       return are_sane(response.tokens, response.logprobs, vocab_size) &&
                              response.finish_reason <= FinishReason::kLength;
                     });
}

bool is_sane(const ResponseSegment& segment, const JobSpec& job, int64_t vocab_size) {
  const auto size = static_cast<int64_t>(segment.tokens.size());
  return segment.id.sample < job.grpo.group_size &&
         segment.begin + size < job.rollout.max_response_tokens &&
         are_sane(segment.tokens, segment.logprobs, vocab_size);
}

TextToJudge to_judge(const SampledResponse& response, const model::Tokenizer& tokenizer) {
  return {tokenizer.decode(response.tokens), static_cast<uint32_t>(response.tokens.size()),
          response.finish_reason == FinishReason::kLength};
}

TextToJudge to_judge(const Trajectory& trajectory, const model::Tokenizer& tokenizer) {
  const auto tokens = std::span(trajectory.tokens).subspan(trajectory.segments.back().begin);
  return {tokenizer.decode(tokens), static_cast<uint32_t>(tokens.size()),
          trajectory.finish_reason == FinishReason::kLength};
}

GroupToJudge group_to_judge(GroupId id, GroupPurpose purpose, const PromptTokens& prompt,
                            std::vector<TextToJudge> responses) {
  return {.id = id,
          .purpose = purpose,
          .prompt = prompt.text,
          .gold = prompt.gold,
          .responses = std::move(responses)};
}

Trajectory make_trajectory(TrajectoryId id, uint64_t prompt_index, const PromptTokens& prompt,
                           PolicyVersion version, const SampledResponse& response) {
  Trajectory t;
  t.id = id;
  t.prompt_index = prompt_index;
  t.tokens = prompt.tokens;
  const auto begin = static_cast<uint32_t>(t.tokens.size());
  t.tokens.insert(t.tokens.end(), response.tokens.begin(), response.tokens.end());
  const auto end = static_cast<uint32_t>(t.tokens.size());
  t.loss_mask.assign(begin, 0);
  t.loss_mask.resize(end, 1);
  t.rollout_logprobs.assign(begin, 0.0f);
  t.rollout_logprobs.insert(t.rollout_logprobs.end(), response.logprobs.begin(),
                            response.logprobs.end());
  t.segments = {{SegmentRole::kPrompt, 0, begin}, {SegmentRole::kPolicy, begin, end}};
  if (response.versions.empty()) t.versions = {{version, begin, end}};
  for (const VersionRange& range : response.versions) {
    t.versions.push_back({range.version, begin + range.begin, begin + range.end});
  }
  t.finish_reason = response.finish_reason;
  return t;
}

}  // namespace troupe::actors
