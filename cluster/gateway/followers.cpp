#include "cluster/gateway/followers.h"

#include <iterator>

namespace troupe::cluster {

bool Followers::follow(const std::string& topic, const Follower& follower, Time now) {
  const Place place(topic, follower.route);
  // A route may have become another's, whose lease begins anew.
  if (const auto found = until_.find(place); found != until_.end()) forget(found);
  // Looked for only then: those who left without a word go when their time is up.
  if (until_.size() >= limits_.followers_max || per_key_[follower.key] >= limits_.per_key_max) {
    expire(now);
  }
  size_t& of_key = per_key_[follower.key];
  if (until_.size() >= limits_.followers_max || of_key >= limits_.per_key_max) {
    if (of_key == 0) per_key_.erase(follower.key);
    return false;
  }
  ++of_key;
  until_.emplace(place, Lease{follower.key, now + limits_.lease});
  return true;
}

std::vector<Followers::Follower> Followers::of(const std::string& topic, Time now) {
  std::vector<Follower> followers;
  for (auto lease = until_.lower_bound({topic, ""});
       lease != until_.end() && lease->first.first == topic;) {
    const auto next = std::next(lease);
    if (lease->second.until <= now) {
      forget(lease);
    } else {
      followers.push_back({lease->first.second, lease->second.key});
    }
    lease = next;
  }
  return followers;
}

void Followers::forget(const std::string& topic, const std::string& route) {
  if (const auto found = until_.find({topic, route}); found != until_.end()) forget(found);
}

void Followers::forget(std::map<Place, Lease>::iterator lease) {
  const auto of_key = per_key_.find(lease->second.key);
  if (--of_key->second == 0) per_key_.erase(of_key);
  until_.erase(lease);
}

void Followers::expire(Time now) {
  for (auto lease = until_.begin(); lease != until_.end();) {
    const auto next = std::next(lease);
    if (lease->second.until <= now) forget(lease);
    lease = next;
  }
}

}  // namespace troupe::cluster
