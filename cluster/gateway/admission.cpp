#include "cluster/gateway/admission.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "schemas/check.h"

namespace troupe::cluster {
namespace {

// A request in flight ends within moments; whoever has too many asks again soon.
constexpr std::chrono::milliseconds kInFlightRetry{100};

}  // namespace

std::optional<std::chrono::milliseconds> TokenBucket::take(Time now) {
  const double seconds = std::chrono::duration<double>(now - at_).count();
  tokens_ = std::min(burst_, tokens_ + std::max(seconds, 0.0) * per_second_);
  at_ = now;
  if (tokens_ >= 1) {
    tokens_ -= 1;
    return std::nullopt;
  }
  return std::chrono::milliseconds(
      static_cast<int64_t>(std::ceil(1000 * (1 - tokens_) / per_second_)));
}

Admission::Admission(Limits limits, Time now)
    : limits_(limits), bucket_(limits.per_second, limits.burst, now) {
  limits_.clients_max = std::max(limits_.clients_max, limits_.in_flight_max + 1);
}

std::optional<std::chrono::milliseconds> Admission::begin(std::string_view id, Time now) {
  Client& who = client(id, now);
  // The client's own bounds come first: what they refuse takes nothing from the others.
  if (const auto wait = who.bucket.take(now)) return wait;
  if (who.in_flight >= limits_.in_flight_per_client_max) return kInFlightRetry;
  if (const auto wait = bucket_.take(now)) return wait;
  if (in_flight_ >= limits_.in_flight_max) return kInFlightRetry;
  ++who.in_flight;
  ++in_flight_;
  return std::nullopt;
}

void Admission::end(std::string_view id) {
  const auto found = by_id_.find(id);
  TROUPE_CHECK(found != by_id_.end() && found->second->in_flight > 0);
  --found->second->in_flight;
  --in_flight_;
}

Admission::Client& Admission::client(std::string_view id, Time now) {
  if (const auto found = by_id_.find(id); found != by_id_.end()) {
    clients_.splice(clients_.begin(), clients_, found->second);
    return clients_.front();
  }
  if (clients_.size() >= limits_.clients_max) {
    const auto idle = std::find_if(clients_.rbegin(), clients_.rend(),
                                   [](const Client& one) { return one.in_flight == 0; });
    TROUPE_CHECK(idle != clients_.rend());
    by_id_.erase(idle->id);
    clients_.erase(std::next(idle).base());
  }
  clients_.push_front(
      {std::string(id), TokenBucket(limits_.per_client_per_second, limits_.per_client_burst, now)});
  by_id_.emplace(clients_.front().id, clients_.begin());
  return clients_.front();
}

}  // namespace troupe::cluster
