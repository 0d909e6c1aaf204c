// A job's data as the loop uses it: rendered, tokenised, within bounds, and without what can never
// be paid.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/transformer/config.h"
#include "schemas/job.h"
#include "schemas/result.h"

namespace troupe::actors {

struct PromptTokens {
  std::vector<int32_t> tokens{};
  std::string text{};  // For people.
  std::string gold{};

  // The gold, or for a program's tests that they are hidden.
  std::string gold_for_people() const;
};

struct DemonstrationTokens {
  std::vector<int32_t> tokens{};     // Prompt, response, end token.
  std::vector<uint8_t> loss_mask{};  // 1 from the response on.
};

struct JobData {
  std::vector<PromptTokens> train{};
  std::vector<PromptTokens> held_out{};
  std::vector<std::vector<DemonstrationTokens>> cold_start{};  // By file.
  std::vector<std::string> notes{};  // What was left out and why, for the log.
};

// Problems of one file. Prompts longer than `max_prompt_tokens`, and those whose reference answer
// the accuracy part's verifier cannot read, are left out and counted in a note; kInvalidArgument
// when none is left. The rewards have passed check_rewards.
Result<std::vector<PromptTokens>> load_prompts(const std::string& path,
                                               std::string_view template_name,
                                               int64_t max_prompt_tokens,
                                               const std::vector<RewardSpec>& rewards,
                                               std::vector<std::string>& notes);

// kInvalidArgument unless the policy's tokens are exactly the byte tokenizer's: a smaller
// vocabulary has no row for some prompts, a larger one samples what is no text.
Status check_vocabulary(const model::TransformerConfig& config);

// Reads the files of the stages that the job has; its rewards are checked. kInvalidArgument, naming
// the file, for anything wrong in them.
Result<JobData> load_job_data(const JobSpec& job);

}  // namespace troupe::actors
