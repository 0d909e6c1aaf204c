// A job's data as the loop uses it: rendered, tokenised, within bounds, and without what can never
// be paid.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/data/prompt_template.h"
#include "model/tokenizer/byte_tokenizer.h"
#include "model/tokenizer/tokenizer.h"
#include "model/transformer/config.h"
#include "schemas/job.h"
#include "schemas/result.h"

namespace troupe::actors {

// How prompts become tokens and responses text, for one policy. By default plain bytes.
struct PromptFormat {
  model::Tokenizer tokenizer{};
  model::PromptTemplate prompt_template{};
  int32_t end_token = model::ByteTokenizer::kEos;                   // After a demonstration.
  std::vector<int32_t> stop_tokens = {model::ByteTokenizer::kEos};  // Each ends a response.
  int64_t vocab_size = model::ByteTokenizer::kVocabularySize;       // Ids that may be sampled.
};

// `template_name` as PromptTemplate::find has it. kInvalidArgument, besides, unless the policy has
// a row for each token: a smaller vocabulary has none for some prompts. It may have more rows,
// which are no text; the byte tokenizer's policies have exactly its own.
Result<PromptFormat> prompt_format(std::string_view template_name, const model::PolicyText& text,
                                   const model::TransformerConfig& config);

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
  PromptFormat format{};
  std::vector<PromptTokens> train{};
  std::vector<PromptTokens> held_out{};
  std::vector<std::vector<DemonstrationTokens>> cold_start{};  // By file.
  std::vector<std::string> notes{};  // What was left out and why, for the log.
};

// Problems of one file. Prompts longer than `max_prompt_tokens`, and those whose reference answer
// the accuracy part's verifier cannot read, are left out and counted in a note; kInvalidArgument
// when none is left. The rewards have passed check_rewards.
Result<std::vector<PromptTokens>> load_prompts(const std::string& path, const PromptFormat& format,
                                               int64_t max_prompt_tokens,
                                               const std::vector<RewardSpec>& rewards,
                                               std::vector<std::string>& notes);

// Reads the files of the stages that the job has, for a policy with this text and configuration;
// its rewards are checked. kInvalidArgument, naming the file, for anything wrong in them, and as
// prompt_format.
Result<JobData> load_job_data(const JobSpec& job, const model::PolicyText& text,
                              const model::TransformerConfig& config);

}  // namespace troupe::actors
