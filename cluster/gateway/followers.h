// Who follows which topics over the network, and until when. Plain: it is told the time.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cluster/keys/curve_key.h"

namespace troupe::cluster {

class Followers {
 public:
  using Time = std::chrono::steady_clock::time_point;

  struct Limits {
    size_t followers_max = 2'048;  // Of one connection and one topic each.
    size_t per_key_max = 256;
    std::chrono::milliseconds lease{30'000};  // Who follows on asks again in time.
  };

  struct Follower {
    std::string route{};
    PublicKey key{};
  };

  explicit Followers(Limits limits) : limits_(limits) {}

  // False when there are too many already, of this key or of all.
  bool follow(const std::string& topic, const Follower& follower, Time now);

  // Those of a topic whose lease has not ended.
  std::vector<Follower> of(const std::string& topic, Time now);

  // Its connection or its right has gone.
  void forget(const std::string& topic, const std::string& route);

  size_t size() const { return until_.size(); }

 private:
  using Place = std::pair<std::string, std::string>;  // Topic and route.
  struct Lease {
    PublicKey key{};
    Time until{};
  };

  void forget(std::map<Place, Lease>::iterator lease);
  void expire(Time now);

  Limits limits_;
  std::map<Place, Lease> until_{};
  std::map<PublicKey, size_t> per_key_{};
};

}  // namespace troupe::cluster
