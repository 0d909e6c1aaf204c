#include "actors/crew/policy_shelf.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace troupe::actors {

PolicyShelf::PolicyShelf(const std::vector<SlotPlan>& plans, PoolOptions options,
                         PoolOutbox& outbox)
    : options_(std::move(options)),
      is_needed_(std::any_of(
          plans.begin(), plans.end(),
          [](const SlotPlan& plan) { return plan.roles.rollout && !plan.roles.learner; })),
      outbox_(outbox),
      readers_(plans.size()) {}

void PolicyShelf::put(PolicyPublished policy) {
  published_[policy.version] = std::move(policy);
  if (options_.takes_newest) {
    retired_before_ = std::max(retired_before_, published_.rbegin()->first);
  }
  remove_retired();
}

void PolicyShelf::retire(PolicyVersion before) {
  retired_before_ = std::max(retired_before_, before);
  remove_retired();
}

// A file that a worker was told to load stays until it has.
void PolicyShelf::remove_retired() {
  std::erase_if(published_, [&](const auto& one) {
    const bool is_read = std::any_of(readers_.begin(), readers_.end(), [&](const Reader& reader) {
      return reader.loading == one.first;
    });
    if (one.first >= retired_before_ || is_read) return false;
    outbox_.add(pool::RemoveFile{one.second.path});
    return true;
  });
}

const PolicyPublished* PolicyShelf::find(PolicyVersion version) const {
  const auto found = published_.find(version);
  return found == published_.end() ? nullptr : &found->second;
}

std::optional<PolicyVersion> PolicyShelf::version_for(PolicyVersion asked,
                                                      bool is_for_training) const {
  if (!options_.takes_newest || !is_for_training) return asked;
  if (published_.empty() || published_.rbegin()->first < asked) return std::nullopt;
  return published_.rbegin()->first;
}

void PolicyShelf::load(WorkerId worker, PolicyVersion version, double now) {
  const PolicyPublished& policy = published_.at(version);
  Reader& reader = readers_[worker.slot];
  const WorkerReady held = std::exchange(reader.held, {});
  if (!held.weights_sha256.empty() && held.version == version &&
      held.weights_sha256 == policy.weights_sha256) {
    reader.loaded = version;
    return;
  }
  reader.loading = version;
  reader.since = now;
  reader.request = outbox_.ask(worker, options_.start_max,
                               LoadPolicy{version, policy.path, policy.weights_sha256});
}

void PolicyShelf::load_newest(WorkerId worker, double now) {
  if (!options_.takes_newest || published_.empty() || is_loading(worker.slot)) return;
  const PolicyVersion newest = published_.rbegin()->first;
  if (readers_[worker.slot].loaded < newest) load(worker, newest, now);
}

bool PolicyShelf::loaded(uint32_t slot, uint64_t request_id, PolicyVersion version) {
  Reader& reader = readers_[slot];
  if (!reader.loading || request_id != reader.request) return false;
  reader.loading.reset();
  reader.loaded = version;
  remove_retired();
  return true;
}

void PolicyShelf::stood_still(double seconds, double now) {
  for (Reader& reader : readers_) reader.since = std::min(now, reader.since + seconds);
}

std::optional<std::string> PolicyShelf::overdue(uint32_t slot, double now) const {
  if (!is_loading(slot) || now - readers_[slot].since <= options_.start_max) return std::nullopt;
  return fmt::format("no policy loaded within {:.0f} s", options_.start_max);
}

std::optional<Activity> PolicyShelf::activity(uint32_t slot) const {
  const Reader& reader = readers_[slot];
  if (!reader.loading) return std::nullopt;
  return Activity{fmt::format("loading version {}", number(*reader.loading)), reader.since};
}

}  // namespace troupe::actors
