// Recovery points: where one is due, which are asked for, on their way and durable, and which of
// them are kept.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "actors/controller/commits.h"
#include "actors/controller/controller_command.h"
#include "actors/controller/timetable.h"
#include "schemas/job.h"
#include "schemas/records.h"

namespace troupe::actors {

class Points {
 public:
  struct Options {
    bool saves_points = true;
    std::vector<PointRecord> durable{};  // Oldest first.
  };

  // All references outlive it.
  Points(const JobSpec& job, const Timetable& timetable, Options options, Commits& commits,
         Outbox& outbox);

  bool saves_points() const { return saves_points_; }
  bool may_be_at(uint64_t version) const;
  bool is_due(uint64_t version) const;
  bool has(uint64_t version) const;  // Durable, or on its way into the store.
  // The newest, which may be on its way.
  std::optional<PointRecord> start_point() const;
  // The newest that was asked for and is not durable yet.
  std::optional<uint64_t> asked() const { return asked_; }
  // Of the older versions that points under way are to hold.
  std::optional<uint64_t> oldest_policy_held() const;

  // `policies`: older ones that the point is to hold, oldest first.
  void ask(uint64_t version, std::vector<PolicyVersion> policies);
  // The learner is gone, and with it what it was asked for.
  void learner_lost();
  void saved(const PointRecord& point, double core_seconds);
  // Returns the oldest version that a learner may still come back at.
  uint64_t durable(const PointRecord& point, std::span<const EvaluationRecord> evaluations);
  // The point of the best evaluation so far stays; of equals, the newest.
  void keep_best(std::span<const EvaluationRecord> evaluations);

 private:
  uint64_t stride() const;
  std::vector<PointRecord> known() const;

  const JobSpec& job_;
  const Timetable& timetable_;
  const bool saves_points_;
  Commits& commits_;
  Outbox& outbox_;
  std::vector<PointRecord> points_{};  // Durable, oldest first.
  std::optional<uint64_t> asked_{};
  // Oldest versions that points under way are to hold, by the points' versions.
  std::map<uint64_t, PolicyVersion> policies_held_{};
  std::optional<uint64_t> best_kept_{};
};

}  // namespace troupe::actors
