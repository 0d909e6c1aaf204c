#include "cluster/monitor/waiting.h"

#include <fmt/format.h>

#include <algorithm>

namespace troupe::cluster {
namespace {

constexpr double kBusyShare = 0.5;  // From here on a role is at work rather than waiting.
constexpr double kMomentSeconds = 1;

}  // namespace

WaitingShares waiting_in(const RunSample& sample) {
  WaitingShares shares;
  const bool is_generating = sample.groups_generating > 0 || sample.groups_waiting > 0;
  const double learner = std::clamp(1 - sample.learner_busy_share, 0.0, 1.0);
  if (sample.steps_learning == 0 || sample.learner_busy_share < kBusyShare) {
    if (is_generating) {
      shares.learner_for_rollout = learner;
    } else if (sample.groups_judging > 0) {
      shares.learner_for_verifier = learner;
    } else if (sample.groups_committing > 0) {
      shares.learner_for_store = learner;
    }
  }
  const double rollout = std::clamp(1 - sample.rollout_busy_share, 0.0, 1.0);
  if (is_generating) return shares;
  if (sample.steps_learning > 0) {
    shares.rollout_for_learner = rollout;
  } else if (sample.groups_judging > 0) {
    shares.rollout_for_verifier = rollout;
  }
  return shares;
}

std::string who_waits(const RunSample& sample) {
  const WaitingShares shares = waiting_in(sample);
  const auto groups = [](int64_t n) { return fmt::format("{} group{}", n, n == 1 ? "" : "s"); };
  if (shares.learner_for_rollout >= kBusyShare) {
    return fmt::format("the learner waits for rollout: {} being generated, {} waiting",
                       groups(sample.groups_generating), sample.groups_waiting);
  }
  if (shares.learner_for_verifier >= kBusyShare) {
    return fmt::format("the learner waits for the verifier: {} being judged",
                       groups(sample.groups_judging));
  }
  if (shares.learner_for_store >= kBusyShare) {
    return fmt::format("the learner waits for the store: {} being written",
                       groups(sample.groups_committing));
  }
  if (shares.rollout_for_learner >= kBusyShare) {
    return "rollout waits for the learner: nothing may be generated before its next version";
  }
  if (shares.rollout_for_verifier >= kBusyShare) {
    return fmt::format("rollout waits for the verifier: {} being judged",
                       groups(sample.groups_judging));
  }
  return "nobody waits: rollout and learner both work";
}

WorkerPace::Rates WorkerPace::add(const RunSample& sample, double time) {
  Moment now{.time = time};
  for (const WorkerStatus& worker : sample.workers) {
    if (now.tokens.size() == kWorkersMax) break;
    if (!worker.is_ready || worker.roles.find("rollout") == std::string::npos) continue;
    now.tokens[worker.slot] = worker.tokens_generated;
  }
  while (moments_.size() > 1 && time - moments_[1].time >= kWindowSeconds) moments_.pop_front();
  Rates rates;
  double sum = 0;
  for (const auto& [slot, tokens] : now.tokens) {
    // Since the oldest moment from which on this worker has been there and its count has only
    // grown.
    double rate = 0;
    for (const Moment& then : moments_) {
      const auto found = then.tokens.find(slot);
      if (found == then.tokens.end() || found->second > tokens || then.time >= time) continue;
      rate = static_cast<double>(tokens - found->second) / (time - then.time);
      break;
    }
    if (rates.num_workers == 0 || rate < rates.worst) {
      rates.worst = rate;
      rates.worst_slot = slot;
    }
    rates.by_slot[slot] = rate;
    sum += rate;
    ++rates.num_workers;
  }
  if (rates.num_workers > 0) rates.mean = sum / static_cast<double>(rates.num_workers);
  if (moments_.empty() || time - moments_.back().time >= kMomentSeconds) {
    moments_.push_back(std::move(now));
  }
  return rates;
}

}  // namespace troupe::cluster
