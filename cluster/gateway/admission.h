// Which requests may begin: so many at a time and so many per second, of one client and of all.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace troupe::cluster {

// Fills steadily up to `burst`; each request takes one.
class TokenBucket {
 public:
  using Time = std::chrono::steady_clock::time_point;

  TokenBucket(double per_second, double burst, Time now)
      : per_second_(per_second), burst_(burst), tokens_(burst), at_(now) {}

  // Nothing: one was taken. Otherwise how long until there is one.
  std::optional<std::chrono::milliseconds> take(Time now);

 private:
  double per_second_;
  double burst_;
  double tokens_;
  Time at_;
};

class Admission {
 public:
  using Time = TokenBucket::Time;

  struct Limits {
    size_t in_flight_max = 512;
    size_t in_flight_per_client_max = 16;
    double per_second = 5'000;
    double burst = 5'000;
    double per_client_per_second = 100;
    double per_client_burst = 200;
    // Remembered, the least recently heard are forgotten first; at least in_flight_max + 1, so that
    // there is always one without a request in flight.
    size_t clients_max = 1'024;
  };

  Admission(Limits limits, Time now);

  // Nothing: the request may begin, and end(client) must follow. Otherwise how long to wait.
  std::optional<std::chrono::milliseconds> begin(std::string_view client, Time now);
  void end(std::string_view client);

  size_t in_flight() const { return in_flight_; }
  size_t clients() const { return clients_.size(); }

 private:
  struct Client {
    std::string id{};
    TokenBucket bucket;
    size_t in_flight = 0;
  };

  Client& client(std::string_view id, Time now);

  Limits limits_;
  TokenBucket bucket_;
  size_t in_flight_ = 0;
  std::list<Client> clients_{};  // Most recently heard first.
  std::unordered_map<std::string_view, std::list<Client>::iterator>
      by_id_{};  // Views of Client::id.
};

}  // namespace troupe::cluster
