// A job's data as the loop uses it: rendered, tokenised, within bounds, and without what can never
// be paid.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/data/columns.h"
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
  model::ReferenceKind kind = model::ReferenceKind::kAnswer;

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
  // For the log: which columns were taken, and what was left out and why.
  std::vector<std::string> notes{};
};

// What judges a row where no job says it: an answer is compared, tests are run.
std::vector<RewardSpec> rewards_for(model::ReferenceKind kind);

struct PromptOptions {
  int64_t max_prompt_tokens = 0;
  // Empty: a row is judged by what it has, as rewards_for says.
  std::vector<RewardSpec> rewards{};
  model::ColumnNames columns{};
};

// Problems of one file. Prompts longer than `max_prompt_tokens`, and those whose reference the
// accuracy part's verifier cannot pay, are left out; the first five have a note each, all are
// counted by reason in one more. The first note says which columns were taken, with the first
// problem and its reference. kInvalidArgument when no problem is left. The rewards have passed
// check_rewards.
Result<std::vector<PromptTokens>> load_prompts(const std::string& path, const PromptFormat& format,
                                               const PromptOptions& options,
                                               std::vector<std::string>& notes);

// Reads the files of the stages that the job has, for a policy with this text and configuration;
// its rewards are checked. kInvalidArgument, naming the file, for anything wrong in them, and as
// prompt_format.
Result<JobData> load_job_data(const JobSpec& job, const model::PolicyText& text,
                              const model::TransformerConfig& config);

}  // namespace troupe::actors
