#include "actors/rollout/kept_groups.h"

#include <utility>

namespace troupe::actors {

void KeptGroups::loaded(PolicyVersion version, std::string weights_sha256) {
  const std::lock_guard lock(mutex_);
  version_ = version;
  weights_sha256_ = std::move(weights_sha256);
}

bool KeptGroups::is_alike(const Work& work, const GenerateGroups& request) {
  return work.request.version == request.version &&
         work.request.temperature == request.temperature && work.request.top_p == request.top_p &&
         work.request.max_response_tokens == request.max_response_tokens &&
         work.request.stop_tokens == request.stop_tokens;
}

std::vector<GeneratedGroup> KeptGroups::begin(GenerateGroups& request) {
  const std::lock_guard lock(mutex_);
  Work next{.weights_sha256 = weights_sha256_, .is_under_way = true};
  std::vector<GeneratedGroup> found;
  std::erase_if(request.groups, [&](PromptGroup& group) {
    const Key key = key_of(group.id, group.purpose);
    next.asked.emplace(key, group).first->second.begun.clear();
    for (const Work* work : {&current_, &before_}) {
      const auto asked = work->asked.find(key);
      const auto done = work->done.find(key);
      if (done == work->done.end() || work->weights_sha256 != weights_sha256_ ||
          !is_alike(*work, request) || asked->second.prompt != group.prompt ||
          asked->second.num_samples != group.num_samples) {
        continue;
      }
      next.done.emplace(key, done->second);
      found.push_back(done->second);
      return true;
    }
    return false;
  });
  auto groups = std::exchange(request.groups, {});
  next.request = request;
  request.groups = std::move(groups);
  before_ = std::exchange(current_, std::move(next));
  before_.is_under_way = false;
  return found;
}

void KeptGroups::add(const GeneratedGroup& group) {
  const std::lock_guard lock(mutex_);
  current_.done.insert_or_assign(key_of(group.id, group.purpose), group);
}

void KeptGroups::end() {
  const std::lock_guard lock(mutex_);
  current_.is_under_way = false;
}

void KeptGroups::clear() {
  const std::lock_guard lock(mutex_);
  version_ = {};
  weights_sha256_.clear();
  before_ = current_ = {};
}

std::vector<HeldGroup> KeptGroups::held() const {
  const std::lock_guard lock(mutex_);
  std::vector<HeldGroup> held;
  for (const Work* work : {&before_, &current_}) {
    for (const auto& [key, group] : work->asked) {
      if (work->is_under_way || work->done.count(key) > 0)
        held.push_back({group.id, group.purpose});
    }
  }
  return held;
}

WorkerReady KeptGroups::ready() const {
  const std::lock_guard lock(mutex_);
  return {.version = version_, .weights_sha256 = weights_sha256_};
}

}  // namespace troupe::actors
