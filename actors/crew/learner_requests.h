// What the learner is asked for, in order, and what becomes of it when the learner is lost.
//
// Every rank is asked the same, but for its own part of it, in the same order; a request is
// answered when all have answered, and all must have come to the same bits.
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
  // The slots that have the role are the learner's ranks, in order.
  LearnerRequests(const std::vector<SlotPlan>& plans, PoolOptions options, PoolOutbox& outbox);

  void set_policies_folder(std::string folder) { policies_folder_ = std::move(folder); }

  // ---- The learner.
  // All ranks, in order.
  void ready(std::vector<WorkerId> ranks, WorkerReady ready);
  void lost(Loss loss, const std::string& why, double now);
  // Nothing is sent any more.
  void shut_down() { ranks_.clear(); }
  void stood_still(double seconds, double now);

  // ---- What is wanted of it. Nothing happens while it is not there.
  // By rank.
  void learn(std::vector<LearnShare> shares, double now);
  void save_point(PolicyVersion version, std::string folder, std::vector<PolicyFile> policies,
                  double now);
  // Its current version; once, however often it is asked for.
  void publish(PolicyVersion version, double now);
  // Where it will be, of a version that it was asked to publish.
  std::string path_of(PolicyVersion version) const;

  // ---- Answers.
  // What is answered by all with this, in order: one answer for each request. Nothing when that is
  // not what the rank was asked for first. The job fails where ranks differ.
  std::vector<FromWorker> answered(uint32_t slot, uint64_t request_id, FromWorker message,
                                   double now);

  // Of its weights; nothing while it is not there.
  std::optional<PolicyVersion> version() const { return version_; }
  // The slots that have not answered, when they should have; else none.
  std::vector<uint32_t> overdue(double now) const;
  std::string overdue_text() const;
  std::optional<Activity> activity(uint32_t slot) const;
  Busy take_busy(double now);
  void take_work(std::vector<WorkSpan>& into, double now) { work_.take(into, now); }

 private:
  // One part for each rank that is asked, by rank.
  struct Part {
    uint64_t id = 0;  // 0: this rank is not asked.
    std::optional<FromWorker> answer{};
    bool is_open() const { return id != 0 && !answer; }
  };
  struct Request {
    std::string what{};
    std::vector<Part> parts{};
  };

  // A rank without a message is not asked.
  void ask(std::vector<std::optional<ToWorker>> messages, std::string what, double now);
  std::optional<FromWorker> joined(Request request);
  void note_answer(const FromWorker& answer);

  const PoolOptions options_;
  PoolOutbox& outbox_;
  std::vector<uint32_t> slots_{};  // By rank.
  std::string policies_folder_{};
  std::vector<WorkerId> ranks_{};  // Empty: it is not there.
  std::optional<PolicyVersion> version_{};
  std::deque<Request> requests_{};
  double since_ = 0;                      // Of the first.
  std::set<PolicyVersion> publishing_{};  // It has been asked for these.
  BusyTime busy_{};
  WorkLog work_{};
  // Since a step was learned for the first time.
  uint32_t faults_ = 0, kills_ = 0;
  uint64_t learned_max_ = 0;
};

}  // namespace troupe::actors
