#include "actors/controller/job_data.h"

#include "actors/verifier/verifier_table.h"
#include "model/data/dataset.h"
#include "model/data/prompt_template.h"
#include "model/tokenizer/byte_tokenizer.h"

namespace troupe::actors {

using model::ByteTokenizer;

std::string PromptTokens::gold_for_people() const {
  return gold.starts_with("{\"") ? "hidden tests" : gold;
}

Result<std::vector<PromptTokens>> load_prompts(const std::string& path,
                                               std::string_view template_name,
                                               int64_t max_prompt_tokens,
                                               const std::vector<RewardSpec>& rewards,
                                               std::vector<std::string>& notes) {
  auto prompt_template = model::PromptTemplate::by_name(template_name);
  if (!prompt_template) return prompt_template.error();
  auto problems = model::load_problems(path);
  if (!problems) return problems.error();
  std::vector<PromptTokens> prompts;
  int64_t num_long = 0, num_unpayable = 0;
  for (auto& problem : *problems) {
    auto tokens = prompt_template->render(problem.prompt);
    if (!tokens) {
      return invalid_argument(path + ":" + std::to_string(problem.line) + ": " +
                              tokens.error().message);
    }
    if (static_cast<int64_t>(tokens->size()) > max_prompt_tokens) {
      ++num_long;
      continue;
    }
    // An answer that no verifier can read can never be paid.
    if (!is_readable_gold(rewards, problem.gold)) {
      ++num_unpayable;
      continue;
    }
    prompts.push_back({.tokens = std::move(*tokens),
                       .text = problem.prompt.back().content,
                       .gold = std::move(problem.gold)});
  }
  if (num_long > 0) {
    notes.push_back(path + ": left out " + std::to_string(num_long) + " of " +
                    std::to_string(problems->size()) + " prompts longer than max_prompt_tokens = " +
                    std::to_string(max_prompt_tokens));
  }
  if (num_unpayable > 0) {
    notes.push_back(path + ": left out " + std::to_string(num_unpayable) + " of " +
                    std::to_string(problems->size()) +
                    " prompts whose reference answer cannot be read");
  }
  if (prompts.empty() && num_unpayable > 0) {
    return invalid_argument(path + ": no prompt has a reference answer that can be read");
  }
  if (prompts.empty()) {
    return invalid_argument(path + ": every prompt is longer than data.max_prompt_tokens = " +
                            std::to_string(max_prompt_tokens) + "; raise it");
  }
  return prompts;
}

Status check_vocabulary(const model::TransformerConfig& config) {
  if (config.vocab_size == ByteTokenizer::kVocabularySize) return ok();
  return invalid_argument("the model's vocabulary of " + std::to_string(config.vocab_size) +
                          " is not the byte tokenizer's " +
                          std::to_string(ByteTokenizer::kVocabularySize));
}

Result<JobData> load_job_data(const JobSpec& job) {
  JobData data;
  if (job.grpo.steps > 0) {
    auto train = load_prompts(job.data.train, job.data.template_name, job.data.max_prompt_tokens,
                              job.rewards, data.notes);
    if (!train) return train.error();
    data.train = std::move(*train);
  }
  if (!job.data.held_out.empty()) {
    auto held_out = load_prompts(job.data.held_out, job.data.template_name,
                                 job.data.max_prompt_tokens, job.rewards, data.notes);
    if (!held_out) return held_out.error();
    data.held_out = std::move(*held_out);
  }
  if (job.sft.steps == 0) return data;

  auto prompt_template = model::PromptTemplate::by_name(job.data.template_name);
  if (!prompt_template) return prompt_template.error();
  for (const auto& path : job.data.cold_start) {
    auto demonstrations = model::load_demonstrations(path);
    if (!demonstrations) return demonstrations.error();
    auto& part = data.cold_start.emplace_back();
    for (const auto& demonstration : *demonstrations) {
      auto tokens = prompt_template->render(demonstration.prompt);
      const std::string where = path + ":" + std::to_string(demonstration.line) + ": ";
      if (!tokens) return invalid_argument(where + tokens.error().message);
      DemonstrationTokens one{.tokens = std::move(*tokens)};
      one.loss_mask.assign(one.tokens.size(), 0);
      for (int32_t token : ByteTokenizer::encode_markup(demonstration.response)) {
        one.tokens.push_back(token);
      }
      one.tokens.push_back(ByteTokenizer::kEos);
      one.loss_mask.resize(one.tokens.size(), 1);
      if (static_cast<int64_t>(one.tokens.size()) > job.sft.batch_tokens ||
          static_cast<int64_t>(one.tokens.size()) > job.learner.microbatch_tokens) {
        return invalid_argument(where + std::to_string(one.tokens.size()) +
                                " tokens do not fit into sft.batch_tokens and "
                                "learner.microbatch_tokens; raise them or shorten the line");
      }
      part.push_back(std::move(one));
    }
  }
  return data;
}

}  // namespace troupe::actors
