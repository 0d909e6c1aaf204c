#include "cluster/dashboard/recent_replies.h"

#include <utility>

namespace troupe::cluster {

void RecentReplies::Kept::forget_old(Clock::time_point now) {
  for (auto at = replies.begin(); at != replies.end();) {
    const Reply& one = *at->second;
    const bool is_made = one.reply.status != 0;
    if (now - one.made <= (is_made ? good_for : Clock::duration(kMakingMax))) {
      ++at;
      continue;
    }
    if (is_made) bytes -= one.reply.body->size();
    at = replies.erase(at);
  }
}

void RecentReplies::get(const std::string& key, Clock::time_point now, Answer answer,
                        const std::function<void(Answer)>& make) {
  std::unique_lock lock(kept_->mutex);
  kept_->forget_old(now);
  const auto found = kept_->replies.find(key);
  if (found != kept_->replies.end() && found->second->reply.status == 0) {
    found->second->waiting.push_back(std::move(answer));
    return;
  }
  if (found != kept_->replies.end()) {
    HttpReply reply = found->second->reply;
    lock.unlock();
    return answer(std::move(reply));
  }
  if (kept_->replies.size() >= kRepliesMax) {
    lock.unlock();
    return make(std::move(answer));
  }
  const auto made = std::make_shared<Reply>();
  made->made = now;
  kept_->replies[key] = made;
  lock.unlock();
  make([kept = kept_, made, key, answer = std::move(answer)](HttpReply reply) {
    std::vector<Answer> waiting;
    {
      const std::lock_guard guard(kept->mutex);
      waiting = std::move(made->waiting);
      const auto at = kept->replies.find(key);
      const bool is_still_there = at != kept->replies.end() && at->second == made;
      if (is_still_there && reply.status == 200 && kept->bytes + reply.body->size() <= kBytesMax) {
        kept->bytes += reply.body->size();
        made->reply = reply;
      } else if (is_still_there) {
        kept->replies.erase(at);
      }
    }
    for (const Answer& one : waiting) one(reply);
    answer(std::move(reply));
  });
}

}  // namespace troupe::cluster
