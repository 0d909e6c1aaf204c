#include "actors/controller/job_data.h"

#include "actors/verifier/verifier_table.h"
#include "model/data/dataset.h"
#include "schemas/bounds.h"

namespace troupe::actors {

Result<PromptFormat> prompt_format(std::string_view template_name, const model::PolicyText& text,
                                   const model::TransformerConfig& config) {
  auto prompt_template = model::PromptTemplate::find(template_name, text);
  if (!prompt_template) return prompt_template.error();
  const model::Tokenizer& tokenizer = text.tokenizer;
  const int64_t size = tokenizer.vocabulary_size();
  if (config.vocab_size < size || (tokenizer.is_bytes() && config.vocab_size > size)) {
    return invalid_argument("the model's vocabulary of " + std::to_string(config.vocab_size) +
                            " is not the " + (tokenizer.is_bytes() ? "byte " : "") +
                            "tokenizer's " + std::to_string(size));
  }
  auto end = prompt_template->end_token(tokenizer);
  if (!end) return end.error();
  auto stops = prompt_template->stop_tokens(tokenizer);
  if (!stops) return stops.error();
  if (stops->size() > kStopTokensMax) {
    return invalid_argument("the policy has " + std::to_string(stops->size()) +
                            " tokens that end a response, at most " +
                            std::to_string(kStopTokensMax) + " can be");
  }
  return PromptFormat{.tokenizer = tokenizer,
                      .prompt_template = *prompt_template,
                      .end_token = *end,
                      .stop_tokens = std::move(*stops),
                      .vocab_size = config.vocab_size};
}

std::string PromptTokens::gold_for_people() const {
  return gold.starts_with("{\"") ? "hidden tests" : gold;
}

Result<std::vector<PromptTokens>> load_prompts(const std::string& path, const PromptFormat& format,
                                               int64_t max_prompt_tokens,
                                               const std::vector<RewardSpec>& rewards,
                                               std::vector<std::string>& notes) {
  auto problems = model::load_problems(path);
  if (!problems) return problems.error();
  std::vector<PromptTokens> prompts;
  int64_t num_long = 0, num_unpayable = 0;
  for (auto& problem : *problems) {
    auto tokens = format.prompt_template.render(problem.prompt, format.tokenizer);
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

Result<JobData> load_job_data(const JobSpec& job, const model::PolicyText& text,
                              const model::TransformerConfig& config) {
  auto format = prompt_format(job.data.template_name, text, config);
  if (!format) return format.error();
  JobData data{.format = std::move(*format)};
  if (job.grpo.steps > 0) {
    auto train = load_prompts(job.data.train, data.format, job.data.max_prompt_tokens, job.rewards,
                              data.notes);
    if (!train) return train.error();
    data.train = std::move(*train);
  }
  if (!job.data.held_out.empty()) {
    auto held_out = load_prompts(job.data.held_out, data.format, job.data.max_prompt_tokens,
                                 job.rewards, data.notes);
    if (!held_out) return held_out.error();
    data.held_out = std::move(*held_out);
  }
  if (job.sft.steps == 0) return data;

  const model::Tokenizer& tokenizer = data.format.tokenizer;
  for (const auto& path : job.data.cold_start) {
    auto demonstrations = model::load_demonstrations(path);
    if (!demonstrations) return demonstrations.error();
    auto& part = data.cold_start.emplace_back();
    for (const auto& demonstration : *demonstrations) {
      auto tokens = data.format.prompt_template.render(demonstration.prompt, tokenizer);
      const auto response = tokenizer.encode_markup(demonstration.response);
      const std::string where = path + ":" + std::to_string(demonstration.line) + ": ";
      if (!response) return invalid_argument(where + response.error().message);
      if (!tokens) return invalid_argument(where + tokens.error().message);
      DemonstrationTokens one{.tokens = std::move(*tokens)};
      one.loss_mask.assign(one.tokens.size(), 0);
      one.tokens.insert(one.tokens.end(), response->begin(), response->end());
      one.tokens.push_back(data.format.end_token);
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
