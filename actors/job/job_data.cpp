#include "actors/job/job_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "actors/verifier/printable.h"
#include "actors/verifier/verifier_table.h"
#include "model/data/dataset.h"
#include "schemas/bounds.h"

namespace troupe::actors {
namespace {

constexpr size_t kLayoutsShown = 4;

// Some whole characters of a text, in one line.
std::string shown(std::string_view text, size_t bytes_max) {
  return printable(text.substr(0, text.find('\n')), bytes_max);
}

// One line: which columns were taken, and the first problem and reference that they gave.
std::string describe(const std::string& path, const model::ProblemFile::Layout& layout,
                     const model::Problem& first) {
  return fmt::format(
      "{}: {} problem{}: prompt in {}, reference in {}; line {}: {} -> {}", path, layout.count,
      layout.count == 1 ? "" : "s", layout.prompt_column, layout.reference_column, first.line,
      shown(first.prompt.back().content, 60),
      first.kind == model::ReferenceKind::kTests ? "hidden tests" : shown(first.gold, 40));
}

// Rows that a job does without: each with its line and reason, then counted by reason.
class LeftOut {
 public:
  LeftOut(std::string path, int64_t num_rows) : path_(std::move(path)), num_rows_(num_rows) {}

  // `detail` is what differs between rows that have one reason.
  void add(int64_t line, const std::string& reason, std::string_view detail) {
    ++counts_[reason];
    ++num_left_out_;
    if (first_.size() < kShownMax) {
      first_.push_back(fmt::format("{}:{}: left out: {}{}", path_, line, reason,
                                   detail.empty() ? "" : fmt::format(" ({})", shown(detail, 60))));
    }
  }

  void add_notes(std::vector<std::string>& notes) const {
    if (num_left_out_ == 0) return;
    notes.insert(notes.end(), first_.begin(), first_.end());
    notes.push_back(fmt::format("{}: left out {} of {} rows: {}", path_, num_left_out_, num_rows_,
                                by_reason()));
  }

  // Where all are.
  Error as_error() const {
    return invalid_argument(fmt::format("{}; none of the file's {} rows can be used: {}",
                                        first_.front(), num_rows_, by_reason()));
  }

 private:
  static constexpr size_t kShownMax = 5;
  static constexpr size_t kReasonsMax = 8;

  std::string by_reason() const {
    std::vector<std::pair<int64_t, std::string>> sorted;
    for (const auto& [reason, count] : counts_) sorted.push_back({-count, reason});
    std::sort(sorted.begin(), sorted.end());
    std::string text;
    for (size_t i = 0; i < sorted.size() && i < kReasonsMax; ++i) {
      text += fmt::format("{}{}: {}", i == 0 ? "" : "; ", -sorted[i].first, sorted[i].second);
    }
    return text + (sorted.size() > kReasonsMax ? "; ..." : "");
  }

  std::string path_;
  int64_t num_rows_;
  int64_t num_left_out_ = 0;
  std::vector<std::string> first_{};
  std::map<std::string, int64_t> counts_{};
};

}  // namespace

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
  return kind == model::ReferenceKind::kTests ? "hidden tests" : gold;
}

std::vector<RewardSpec> rewards_for(model::ReferenceKind kind) {
  return {{.name = "accuracy", .verifier = kind == model::ReferenceKind::kTests ? "code" : "math"}};
}

Result<std::vector<PromptTokens>> load_prompts(const std::string& path, const PromptFormat& format,
                                               const PromptOptions& options,
                                               std::vector<std::string>& notes) {
  const std::vector<RewardSpec>& rewards = options.rewards;
  auto file = model::load_problems(
      path, {.wanted = rewards.empty() ? model::WantedReference::kShortAnswerOrTests
                                       : wanted_reference(rewards),
             .columns = options.columns});
  if (!file) return file.error();
  LeftOut left_out(path, static_cast<int64_t>(file->problems.size() + file->left_out.size()));
  for (const auto& [line, reason] : file->left_out) left_out.add(line, reason, "");
  std::vector<std::string> taken;
  std::vector<PromptTokens> prompts;
  for (size_t i = 0; i < file->problems.size(); ++i) {
    model::Problem& problem = file->problems[i];
    for (const auto& layout : file->layouts) {
      if (layout.first == i) taken.push_back(describe(path, layout, problem));
    }
    auto tokens = format.prompt_template.render(problem.prompt, format.tokenizer);
    if (!tokens) {
      return invalid_argument(fmt::format("{}:{}: {}", path, problem.line, tokens.error().message));
    }
    const auto size = static_cast<int64_t>(tokens->size());
    if (size > options.max_prompt_tokens) {
      left_out.add(problem.line,
                   fmt::format("the prompt has more than max_prompt_tokens = {} tokens",
                               options.max_prompt_tokens),
                   std::to_string(size));
      continue;
    }
    // A reference that no verifier can read can never be paid.
    const Status payable =
        check_gold(rewards.empty() ? rewards_for(problem.kind) : rewards, problem.gold);
    if (!payable) {
      left_out.add(problem.line, payable.error().message,
                   problem.kind == model::ReferenceKind::kAnswer ? problem.gold : "");
      continue;
    }
    prompts.push_back({.tokens = std::move(*tokens),
                       .text = problem.prompt.back().content,
                       .gold = std::move(problem.gold),
                       .kind = problem.kind});
  }
  if (prompts.empty()) return left_out.as_error();
  for (size_t i = 0; i < taken.size() && i < kLayoutsShown; ++i) notes.push_back(taken[i]);
  if (taken.size() > kLayoutsShown) {
    notes.push_back(fmt::format("{}: and {} other layouts", path, taken.size() - kLayoutsShown));
  }
  left_out.add_notes(notes);
  return prompts;
}

namespace {

// What is measured on problems that were learned from says little.
void note_shared_problems(const JobData& data, const std::string& path,
                          std::vector<std::string>& notes) {
  std::set<std::vector<int32_t>> learned;
  for (const PromptTokens& prompt : data.train) learned.insert(prompt.tokens);
  const auto shared =
      std::count_if(data.held_out.begin(), data.held_out.end(),
                    [&](const PromptTokens& prompt) { return learned.count(prompt.tokens) > 0; });
  if (shared == 0) return;
  notes.push_back(fmt::format(
      "{}: {} of {} held-out problems are in data.train too; what is measured on them is memory",
      path, shared, data.held_out.size()));
}

}  // namespace

Result<JobData> load_job_data(const JobSpec& job, const model::PolicyText& text,
                              const model::TransformerConfig& config) {
  auto format = prompt_format(job.data.template_name, text, config);
  if (!format) return format.error();
  JobData data{.format = std::move(*format)};
  const PromptOptions options{.max_prompt_tokens = job.data.max_prompt_tokens,
                              .rewards = job.rewards,
                              .columns = {job.data.prompt_column, job.data.answer_column}};
  if (job.grpo.steps > 0) {
    auto train = load_prompts(job.data.train, data.format, options, data.notes);
    if (!train) return train.error();
    data.train = std::move(*train);
  }
  if (!job.data.held_out.empty()) {
    auto held_out = load_prompts(job.data.held_out, data.format, options, data.notes);
    if (!held_out) return held_out.error();
    data.held_out = std::move(*held_out);
    note_shared_problems(data, job.data.held_out, data.notes);
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
