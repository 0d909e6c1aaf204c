#include "actors/crew/learner_requests.h"

#include <fmt/format.h>

#include <algorithm>

#include "schemas/check.h"

namespace troupe::actors {

LearnerRequests::LearnerRequests(const std::vector<SlotPlan>& plans, PoolOptions options,
                                 PoolOutbox& outbox)
    : options_(std::move(options)), outbox_(outbox) {
  for (uint32_t i = 0; i < plans.size(); ++i) {
    if (!plans[i].roles.learner) continue;
    TROUPE_CHECK(!slot_);
    slot_ = i;
  }
}

void LearnerRequests::ready(WorkerId worker, WorkerReady ready) {
  worker_ = worker;
  version_ = ready.version;
  outbox_.add(pool::LearnerReady{std::move(ready)});
}

void LearnerRequests::lost(Loss loss, const std::string& why, double now) {
  busy_.end(now);
  const std::string at = requests_.empty() ? "" : " at " + requests_.front().what;
  requests_.clear();
  publishing_.clear();
  version_.reset();
  if (std::exchange(worker_, std::nullopt)) outbox_.add(pool::LearnerLost{});
  if (loss == Loss::kKilled && ++kills_ >= options_.kills_max) {
    outbox_.give_up(
        JobState::kPaused,
        fmt::format("the learner was killed {} times without a step between{}; look for who "
                    "kills it (memory?), then resume",
                    kills_, at));
  }
  if (loss == Loss::kFault && ++faults_ >= options_.learner_faults_max) {
    outbox_.give_up(
        JobState::kFailed,
        fmt::format(
            "the learner was lost {} times in a row{}: {}{}", faults_, at, why,
            options_.log_path.empty() ? "" : "; its last words are in " + options_.log_path));
  }
}

void LearnerRequests::stood_still(double seconds, double now) {
  since_ = std::min(now, since_ + seconds);
}

void LearnerRequests::ask(ToWorker message, std::string what, double now) {
  if (!worker_) return;  // Lost in the meantime.
  if (requests_.empty()) {
    since_ = now;
    busy_.begin(now);
  }
  const uint64_t id = outbox_.ask(*worker_, options_.learn_max, std::move(message));
  requests_.push_back({id, std::move(what)});
}

void LearnerRequests::learn(LearnStep step, double now) {
  std::string what = fmt::format("learning step {}", number(step.version));
  ask(std::move(step), std::move(what), now);
}

void LearnerRequests::save_point(PolicyVersion version, std::string folder,
                                 std::vector<PolicyFile> policies, double now) {
  ask(SavePoint{version, std::move(folder), std::move(policies)},
      fmt::format("saving version {}", number(version)), now);
}

void LearnerRequests::publish(PolicyVersion version, double now) {
  if (!version_ || !publishing_.insert(version).second) return;
  ask(PublishPolicy{version, path_of(version)},
      fmt::format("publishing version {}", number(version)), now);
}

std::string LearnerRequests::path_of(PolicyVersion version) const {
  TROUPE_CHECK(publishing_.count(version) > 0);
  return fmt::format("{}/version_{}.epoch_{}.safetensors", policies_folder_, number(version),
                     worker_ ? worker_->epoch : 0);
}

bool LearnerRequests::is_awaited(uint32_t slot, uint64_t request_id) const {
  return slot == slot_ && !requests_.empty() && requests_.front().id == request_id;
}

void LearnerRequests::answered(const FromWorker& message, double now) {
  requests_.pop_front();
  since_ = now;
  if (requests_.empty()) busy_.end(now);
  // Only what had not been learned before is progress: a step at which it dies each time may lie
  // some steps behind the recovery point.
  if (const auto* learned = std::get_if<StepLearned>(&message)) {
    version_ = learned->metrics.version;
    if (number(*version_) > learned_max_) {
      learned_max_ = number(*version_);
      faults_ = kills_ = 0;
    }
  }
  if (const auto* published = std::get_if<PolicyPublished>(&message)) {
    publishing_.erase(published->version);
  }
}

std::optional<std::string> LearnerRequests::overdue(uint32_t slot, double now) const {
  if (slot != slot_ || requests_.empty() || now - since_ <= options_.learn_max) return std::nullopt;
  return fmt::format("{} not done within {:.0f} s", requests_.front().what, options_.learn_max);
}

std::optional<Activity> LearnerRequests::activity(uint32_t slot) const {
  if (slot != slot_ || requests_.empty()) return std::nullopt;
  return Activity{requests_.front().what, since_};
}

Busy LearnerRequests::take_busy(double now) {
  Busy busy;
  if (slot_) busy_.take(busy, now);
  return busy;
}

}  // namespace troupe::actors
