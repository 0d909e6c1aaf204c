#include "actors/controller/points.h"

#include <algorithm>
#include <utility>

#include "schemas/records_codec.h"

namespace troupe::actors {
namespace {

// The cold start's steps are small: its recovery points are this many times rarer.
constexpr uint64_t kSftPointFactor = 10;

}  // namespace

Points::Points(const JobSpec& job, const Timetable& timetable, Options options, Commits& commits,
               Outbox& outbox)
    : job_(job),
      timetable_(timetable),
      saves_points_(options.saves_points),
      commits_(commits),
      outbox_(outbox),
      points_(std::move(options.durable)) {}

bool Points::is_due(uint64_t version) const {
  if (!saves_points_ || version == 0) return false;
  if (version == timetable_.last_version()) return true;
  const auto every = static_cast<uint64_t>(job_.schedule.checkpoint_every_steps);
  if (every == 0) return false;
  if (version < timetable_.sft_steps()) return version % (every * kSftPointFactor) == 0;
  // Where it is due, or at the first boundary after that may have one.
  return may_be_at(version) && (version - timetable_.sft_steps()) % every < stride();
}

// Within a round that is learned with a correction the learner holds what its first weights made of
// the groups to come, and no recovery point keeps that.
uint64_t Points::stride() const {
  return job_.grpo.off_policy_correction == "none"
             ? 1
             : static_cast<uint64_t>(job_.grpo.minibatches_per_round);
}

bool Points::may_be_at(uint64_t version) const {
  return version < timetable_.sft_steps() || (version - timetable_.sft_steps()) % stride() == 0;
}

bool Points::has(uint64_t version) const {
  const auto points = known();
  return std::any_of(points.begin(), points.end(),
                     [version](const PointRecord& one) { return number(one.version) == version; });
}

// Those on their way into the store included, oldest first.
std::vector<PointRecord> Points::known() const {
  std::vector<PointRecord> points = points_;
  for (PointRecord& point : commits_.points()) points.push_back(std::move(point));
  return points;
}

std::optional<PointRecord> Points::start_point() const {
  const auto points = known();
  return points.empty() ? std::nullopt : std::optional(points.back());
}

std::optional<uint64_t> Points::oldest_policy_held() const {
  std::optional<uint64_t> oldest;
  for (const auto& [point, policy] : policies_held_) {
    oldest = std::min(oldest.value_or(number(policy)), number(policy));
  }
  return oldest;
}

void Points::ask(uint64_t version, std::vector<PolicyVersion> policies) {
  asked_ = version;
  if (!policies.empty()) policies_held_[version] = policies.front();
  outbox_.add(command::SavePoint{PolicyVersion{version}, std::move(policies)});
}

void Points::learner_lost() {
  asked_.reset();
  policies_held_.clear();
}

void Points::saved(const PointRecord& point, double core_seconds) {
  policies_held_.erase(number(point.version));
  commits_.charge(&Ledger::learner_seconds, core_seconds);
  Batch batch = commits_.batch_with_ledger();
  std::vector<PointRecord> kept = known();
  kept.push_back(point);
  const auto excess = static_cast<int64_t>(kept.size()) - job_.schedule.checkpoints_kept;
  if (excess > 0) kept.erase(kept.begin(), kept.begin() + excess);
  // What lies before every point that is kept is never asked for again, damaged points included.
  const uint64_t oldest = number(kept.front().version);
  batch.erases.push_back({RecordKind::kPoint, 0, oldest});
  if (oldest > timetable_.sft_steps() && !job_.schedule.keep_groups) {
    batch.erases.push_back({RecordKind::kGroup, 0, timetable_.round_at(oldest)});
  }
  batch.writes.push_back({commits_.key(RecordKind::kPoint, number(point.version)), encode(point)});
  commits_.commit(std::move(batch), {.point = point});
}

uint64_t Points::durable(const PointRecord& point, std::span<const EvaluationRecord> evaluations) {
  points_.push_back(point);
  keep_best(evaluations);
  if (asked_ == number(point.version)) asked_.reset();
  while (static_cast<int64_t>(points_.size()) > job_.schedule.checkpoints_kept) {
    outbox_.add(command::ForgetPoint{points_.front()});
    points_.erase(points_.begin());
  }
  return number(points_.front().version);
}

// Of the versions that get a point.
void Points::keep_best(std::span<const EvaluationRecord> evaluations) {
  if (!job_.schedule.keep_best) return;
  const EvaluationRecord* best = nullptr;
  for (const EvaluationRecord& one : evaluations) {
    if (one.is_gate || !is_due(number(one.metrics.version))) continue;
    if (best == nullptr || one.metrics.pass_at_1() >= best->metrics.pass_at_1()) best = &one;
  }
  if (best == nullptr || best_kept_ == number(best->metrics.version)) return;
  for (const PointRecord& point : points_) {
    if (point.version != best->metrics.version) continue;
    best_kept_ = number(point.version);
    outbox_.add(command::KeepBest{point});
  }
}

}  // namespace troupe::actors
