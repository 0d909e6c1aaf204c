// What workers sent, looked at and put together: the tokens of a response as the text that is
// judged and as the trajectory that is learned. Pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "actors/job/job_data.h"
#include "model/tokenizer/tokenizer.h"
#include "schemas/job.h"
#include "schemas/records.h"
#include "schemas/trajectory.h"
#include "schemas/work.h"

namespace troupe::actors {

// Judged again elsewhere so many times when the verifier itself fails.
inline constexpr int kInfraErrorsMax = 2;

// A worker of ours writes nothing else; the store and the tokenizer believe it.
bool is_sane(const GeneratedGroup& group, int64_t vocab_size);
bool is_sane(const ResponseSegment& segment, const JobSpec& job, int64_t vocab_size);

TextToJudge to_judge(const SampledResponse& response, const model::Tokenizer& tokenizer);
// The response of a trajectory that was complete when it was made.
TextToJudge to_judge(const Trajectory& trajectory, const model::Tokenizer& tokenizer);

GroupToJudge group_to_judge(GroupId id, GroupPurpose purpose, const PromptTokens& prompt,
                            std::vector<TextToJudge> responses);

// Without its verdict. Where the response does not say by which versions its tokens are, all are by
// `version`.
Trajectory make_trajectory(TrajectoryId id, uint64_t prompt_index, const PromptTokens& prompt,
                           PolicyVersion version, const SampledResponse& response);

}  // namespace troupe::actors
