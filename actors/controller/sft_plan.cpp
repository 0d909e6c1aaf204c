#include "actors/controller/sft_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "model/training/learning_rate.h"
#include "schemas/check.h"

namespace troupe::actors {

SftPlan::SftPlan(const JobSpec& job, std::span<const std::vector<DemonstrationTokens>> cold_start)
    : job_(job), cold_start_(cold_start) {
  if (job.sft.steps == 0) return;
  TROUPE_CHECK(!cold_start.empty());
  double share = 0;
  for (size_t part = 0; part < cold_start.size(); ++part) {
    share += job.sft.part_shares.empty() ? 1.0 / static_cast<double>(cold_start.size())
                                         : job.sft.part_shares[part];
    ends_.push_back(std::llround(std::min(share, 1.0) * static_cast<double>(job.sft.steps)));
  }
  begin_part();
}

void SftPlan::begin_part() {
  const bool is_last = part_ + 1 == cold_start_.size();
  end_ = is_last ? job_.sft.steps : ends_[part_];
  // At most half of the next part may be lent to this one.
  limit_ = is_last ? end_ : end_ + (ends_[part_ + 1] - end_) / 2;
  is_gated_ = !is_last && job_.sft.gate_pass_at_1 != 0;
  order_.emplace(model::DrawOrder::Options{
      .seed = job_.seed,
      .deck = model::DrawOrder::kColdStartDeck + static_cast<uint32_t>(part_),
      .count = static_cast<int64_t>(cold_start_[part_].size()),
      .shuffle = job_.data.shuffle});
  drawn_ = 0;
  // A part that its predecessor has used up, or that has no share, is passed over.
  if (step_ >= end_ && !is_gated_ && !is_last) {
    ++part_;
    begin_part();
  }
}

SftPlan::Next SftPlan::next() const {
  if (step_ < end_) return Next::kStep;
  return is_gated_ ? Next::kGate : Next::kDone;
}

LearnStep SftPlan::take_step() {
  TROUPE_CHECK(next() == Next::kStep);
  ++step_;
  const model::LearningRate rate{.peak = job_.sft.learning_rate,
                                 .warmup_steps = job_.optimizer.warmup_steps,
                                 .steps = job_.sft.steps,
                                 .is_cosine = job_.sft.learning_rate_schedule == "cosine",
                                 .final_fraction = job_.sft.learning_rate_final_fraction};
  LearnStep step;
  step.version = PolicyVersion{static_cast<uint64_t>(step_)};
  step.stage = Stage::kSft;
  step.learning_rate = rate.at(step_);
  step.balance_bias_rate = job_.sft.balance_bias_rate.value_or(job_.learner.balance_bias_rate);
  step.begins_stage = step_ == 1;
  int64_t tokens = 0;
  while (true) {
    const auto& one = cold_start_[part_][static_cast<size_t>(order_->at(drawn_))];
    if (tokens + static_cast<int64_t>(one.tokens.size()) > job_.sft.batch_tokens) break;
    ++drawn_;
    tokens += static_cast<int64_t>(one.tokens.size());
    step.demonstrations.push_back({.tokens = one.tokens, .loss_mask = one.loss_mask});
  }
  if (step_ == end_ && !is_gated_ && part_ + 1 < cold_start_.size()) {
    ++part_;
    begin_part();
  }
  return step;
}

std::optional<std::string> SftPlan::pass_gate(double pass_at_1) {
  TROUPE_CHECK(next() == Next::kGate);
  const auto leave = [this] {
    ++part_;
    begin_part();
  };
  if (pass_at_1 >= job_.sft.gate_pass_at_1) {
    leave();
    return std::nullopt;
  }
  const int64_t extension = std::max<int64_t>(1, job_.sft.steps / 20);
  const int64_t end = std::min(step_ + extension, limit_);
  std::string note =
      fmt::format("{} ended at pass@1 {:.3f}, the gate is {:.3f}: {}",
                  std::filesystem::path(job_.data.cold_start[part_]).filename().string(), pass_at_1,
                  job_.sft.gate_pass_at_1,
                  end > step_ ? fmt::format("{} steps more", end - step_)
                              : "going on all the same; raise sft.steps");
  if (end == step_) {
    leave();
  } else {
    end_ = end;
  }
  return note;
}

}  // namespace troupe::actors
