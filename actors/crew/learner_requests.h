// What the learner is asked for, in order, and what becomes of it when the learner is lost.
//
// A lost learner begins again at a recovery point; whoever asked hears of the loss and says
// everything again, so that nothing is kept here.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "actors/crew/activity.h"
#include "actors/crew/loss.h"
#include "actors/crew/outbox.h"
#include "actors/crew/pool_options.h"
#include "actors/crew/slot_plan.h"

namespace troupe::actors {

class LearnerRequests {
 public:
  // At most one slot has the role.
  LearnerRequests(const std::vector<SlotPlan>& plans, PoolOptions options, PoolOutbox& outbox);

  void set_policies_folder(std::string folder) { policies_folder_ = std::move(folder); }

  // ---- The learner.
  void ready(WorkerId worker, WorkerReady ready);
  void lost(Loss loss, const std::string& why, double now);
  // Nothing is sent any more.
  void shut_down() { worker_.reset(); }
  void stood_still(double seconds, double now);

  // ---- What is wanted of it. Nothing happens while it is not there.
  void learn(LearnStep step, double now);
  void save_point(PolicyVersion version, std::string folder, std::vector<PolicyFile> policies,
                  double now);
  // Its current version; once, however often it is asked for.
  void publish(PolicyVersion version, double now);
  // Where it will be, of a version that it was asked to publish.
  std::string path_of(PolicyVersion version) const;

  // ---- Answers.
  // True: to what it was asked for first.
  bool is_awaited(uint32_t slot, uint64_t request_id) const;
  // One that is awaited.
  void answered(const FromWorker& message, double now);

  // Of its weights; nothing while it is not there.
  std::optional<PolicyVersion> version() const { return version_; }
  // Why the worker of this slot is to be lost.
  std::optional<std::string> overdue(uint32_t slot, double now) const;
  std::optional<Activity> activity(uint32_t slot) const;
  Busy take_busy(double now);

 private:
  struct Request {
    uint64_t id = 0;
    std::string what{};
  };

  void ask(ToWorker message, std::string what, double now);

  const PoolOptions options_;
  PoolOutbox& outbox_;
  std::optional<uint32_t> slot_{};  // That has the role.
  std::string policies_folder_{};
  std::optional<WorkerId> worker_{};
  std::optional<PolicyVersion> version_{};
  std::deque<Request> requests_{};
  double since_ = 0;                      // Of the first.
  std::set<PolicyVersion> publishing_{};  // It has been asked for these.
  BusyTime busy_{};
  // Since a step was learned for the first time.
  uint32_t faults_ = 0, kills_ = 0;
  uint64_t learned_max_ = 0;
};

}  // namespace troupe::actors
