#include "actors/crew/learner_requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "schemas/check.h"

namespace troupe::actors {
namespace {

bool same_bits(double a, double b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

// Adds what another rank has come to. What differs and must not; nothing when all is well.
std::optional<std::string> add_to(StepLearned& all, const StepLearned& one) {
  StepMetrics& a = all.metrics;
  const StepMetrics& b = one.metrics;
  if (a.version != b.version) return "their versions";
  if (!same_bits(a.loss, b.loss)) return fmt::format("loss, {} and {}", a.loss, b.loss);
  if (!same_bits(a.grad_norm, b.grad_norm)) {
    return fmt::format("the gradient's norm, {} and {}", a.grad_norm, b.grad_norm);
  }
  if (all.digest != one.digest) return "the gradient, of the same norm";
  if (a.was_skipped != b.was_skipped) return "whether there was anything to learn";
  a.learn_seconds = std::max(a.learn_seconds, b.learn_seconds);
  all.core_seconds += one.core_seconds;
  return std::nullopt;
}

std::optional<std::string> add_to(PointWritten& all, PointWritten&& one) {
  if (all.version != one.version) return "their versions";
  if (all.weights_sha256 != one.weights_sha256) {
    return fmt::format("weights, {} and {}", all.weights_sha256, one.weights_sha256);
  }
  std::move(one.files.begin(), one.files.end(), std::back_inserter(all.files));
  all.core_seconds += one.core_seconds;
  return std::nullopt;
}

std::optional<std::string> add_to(FromWorker& all, FromWorker&& one) {
  auto* learned = std::get_if<StepLearned>(&all);
  auto* written = std::get_if<PointWritten>(&all);
  if (learned != nullptr && std::holds_alternative<StepLearned>(one)) {
    return add_to(*learned, std::get<StepLearned>(one));
  }
  if (written != nullptr && std::holds_alternative<PointWritten>(one)) {
    return add_to(*written, std::get<PointWritten>(std::move(one)));
  }
  return "what they answer";
}

}  // namespace

LearnerRequests::LearnerRequests(const std::vector<SlotPlan>& plans, PoolOptions options,
                                 PoolOutbox& outbox)
    : options_(std::move(options)), outbox_(outbox) {
  for (uint32_t i = 0; i < plans.size(); ++i) {
    if (plans[i].roles.learner) slots_.push_back(i);
  }
}

void LearnerRequests::ready(std::vector<WorkerId> ranks, WorkerReady ready) {
  TROUPE_CHECK(ranks.size() == slots_.size());
  ranks_ = std::move(ranks);
  version_ = ready.version;
  outbox_.add(pool::LearnerReady{std::move(ready)});
}

void LearnerRequests::lost(Loss loss, const std::string& why, double now) {
  busy_.end(now);
  const std::string at = requests_.empty() ? "" : " at " + requests_.front().what;
  requests_.clear();
  publishing_.clear();
  version_.reset();
  if (!std::exchange(ranks_, {}).empty()) outbox_.add(pool::LearnerLost{});
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

void LearnerRequests::ask(std::vector<std::optional<ToWorker>> messages, std::string what,
                          double now) {
  if (ranks_.empty()) return;  // Lost in the meantime.
  TROUPE_CHECK(messages.size() == ranks_.size());
  if (requests_.empty()) {
    since_ = now;
    busy_.begin(now);
  }
  Request request{.what = std::move(what), .parts = {}};
  for (size_t rank = 0; rank < ranks_.size(); ++rank) {
    Part& part = request.parts.emplace_back();
    if (!messages[rank]) continue;
    part.id = outbox_.ask(ranks_[rank], options_.learn_max, std::move(*messages[rank]));
  }
  requests_.push_back(std::move(request));
}

void LearnerRequests::learn(std::vector<LearnShare> shares, double now) {
  std::string what = fmt::format("learning step {}", number(shares.front().version));
  std::vector<std::optional<ToWorker>> messages;
  for (LearnShare& share : shares) messages.emplace_back(std::move(share));
  ask(std::move(messages), std::move(what), now);
}

void LearnerRequests::save_point(PolicyVersion version, std::string folder,
                                 std::vector<PolicyFile> policies, double now) {
  const ToWorker save = SavePoint{version, std::move(folder), std::move(policies)};
  ask(std::vector<std::optional<ToWorker>>(ranks_.size(), save),
      fmt::format("saving version {}", number(version)), now);
}

// All ranks have all of it.
void LearnerRequests::publish(PolicyVersion version, double now) {
  if (!version_ || !publishing_.insert(version).second) return;
  std::vector<std::optional<ToWorker>> messages(ranks_.size());
  messages.front() = PublishPolicy{version, path_of(version)};
  ask(std::move(messages), fmt::format("publishing version {}", number(version)), now);
}

std::string LearnerRequests::path_of(PolicyVersion version) const {
  TROUPE_CHECK(publishing_.count(version) > 0);
  return fmt::format("{}/version_{}.epoch_{}.safetensors", policies_folder_, number(version),
                     ranks_.empty() ? 0 : ranks_.front().epoch);
}

std::vector<FromWorker> LearnerRequests::answered(uint32_t slot, uint64_t request_id,
                                                  FromWorker message, double now) {
  const auto found = std::find(slots_.begin(), slots_.end(), slot);
  if (found == slots_.end()) return {};
  const auto rank = static_cast<size_t>(found - slots_.begin());
  // A rank answers in order, which may be before the others answer what lies before.
  const auto first = std::find_if(requests_.begin(), requests_.end(),
                                  [rank](const Request& one) { return one.parts[rank].is_open(); });
  if (first == requests_.end() || first->parts[rank].id != request_id) return {};
  first->parts[rank].answer = std::move(message);
  std::vector<FromWorker> answers;
  while (!requests_.empty()) {
    const auto& parts = requests_.front().parts;
    if (std::any_of(parts.begin(), parts.end(), [](const Part& one) { return one.is_open(); })) {
      break;
    }
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (parts[i].id == 0) continue;
      work_.add({.slot = slots_[i],
                 .role = "learner",
                 .what = requests_.front().what,
                 .began_ago = since_,
                 .ended_ago = now});
    }
    auto answer = joined(std::move(requests_.front()));
    requests_.pop_front();
    since_ = now;
    if (requests_.empty()) busy_.end(now);
    if (!answer) break;
    note_answer(*answer);
    answers.push_back(std::move(*answer));
  }
  return answers;
}

// One answer of all ranks; nothing, and the job fails, where they differ.
std::optional<FromWorker> LearnerRequests::joined(Request request) {
  std::optional<FromWorker> all;
  uint32_t slot_of_all = 0;
  for (size_t rank = 0; rank < request.parts.size(); ++rank) {
    auto& answer = request.parts[rank].answer;
    if (!answer) continue;
    if (!all) {
      all = std::move(answer);
      slot_of_all = slots_[rank];
    } else if (const auto difference = add_to(*all, std::move(*answer))) {
      outbox_.give_up(JobState::kFailed,
                      fmt::format("{}: the learner's ranks have not come to the same: worker {} "
                                  "and worker {} differ in {}; they have not done the same, "
                                  "or what moved between them is damaged",
                                  request.what, slot_of_all, slots_[rank], *difference));
      return std::nullopt;
    }
  }
  return all;
}

void LearnerRequests::note_answer(const FromWorker& answer) {
  // Only what had not been learned before is progress: a step at which it dies each time may lie
  // some steps behind the recovery point.
  if (const auto* learned = std::get_if<StepLearned>(&answer)) {
    version_ = learned->metrics.version;
    if (number(*version_) > learned_max_) {
      learned_max_ = number(*version_);
      faults_ = kills_ = 0;
    }
  }
  if (const auto* published = std::get_if<PolicyPublished>(&answer)) {
    publishing_.erase(published->version);
  }
}

std::vector<uint32_t> LearnerRequests::overdue(double now) const {
  std::vector<uint32_t> slots;
  if (requests_.empty() || now - since_ <= options_.learn_max) return slots;
  for (size_t rank = 0; rank < slots_.size(); ++rank) {
    if (requests_.front().parts[rank].is_open()) slots.push_back(slots_[rank]);
  }
  return slots;
}

std::string LearnerRequests::overdue_text() const {
  return fmt::format("{} not done within {:.0f} s", requests_.front().what, options_.learn_max);
}

std::optional<Activity> LearnerRequests::activity(uint32_t slot) const {
  for (size_t rank = 0; rank < slots_.size() && !requests_.empty(); ++rank) {
    if (slots_[rank] == slot && requests_.front().parts[rank].is_open()) {
      return Activity{requests_.front().what, since_};
    }
  }
  return std::nullopt;
}

Busy LearnerRequests::take_busy(double now) {
  Busy busy;
  if (!slots_.empty()) busy_.take(busy, now);
  return busy;
}

}  // namespace troupe::actors
