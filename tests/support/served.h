// A real daemon with jobs of seconds, for tests as its users see it.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/short_job.h"
#include "tests/support/tree_kill.h"

namespace troupe::tests {

// A daemon of its own in a folder, and questions to it.
class Served {
 public:
  // With so many slots.
  explicit Served(const ShortJob& job, int slots = 1) : job_(job), slots_(slots) { start(); }

  void start() {
    daemon_.emplace(Invocation{.arguments = {"--home", job_.file("daemon"), "--server", server(),
                                             "--slots", std::to_string(slots_)},
                               .name = "trouped"});
    REQUIRE(daemon_->says("serving"));
  }
  Process& daemon() { return *daemon_; }
  std::string server() const { return job_.file("door"); }

  Ended ask(std::vector<std::string> words) const {
    words.insert(words.end(), {"--server", server()});
    return troupe(words);
  }
  nlohmann::json show(int id) const {
    const Ended shown = ask({"show", std::to_string(id), "--json"});
    REQUIRE_MESSAGE(shown.exit_code == 0, shown.error);
    return nlohmann::json::parse(shown.out);
  }
  int submit(const std::vector<std::string>& set, const std::string& request_id = "") const {
    std::vector<std::string> words = {"submit", job_.job(), "--json"};
    if (!request_id.empty()) words.insert(words.end(), {"--request-id", request_id});
    for (const auto& one : set) words.insert(words.end(), {"--set", one});
    const Ended submitted = ask(words);
    REQUIRE_MESSAGE(submitted.exit_code == 0, submitted.error);
    return nlohmann::json::parse(submitted.out)["id"];
  }
  // Watches it to its end.
  void watch(int id, int exit_code) const {
    const Ended watched = ask({"watch", std::to_string(id)});
    CAPTURE(watched.error);
    CHECK(watched.exit_code == exit_code);
  }

 private:
  const ShortJob& job_;
  const int slots_;
  std::optional<Process> daemon_{};
};

// Asks until it is so, for a minute at most.
template <class Condition>
void wait_until(Condition holds) {
  REQUIRE(comes_true(holds, std::chrono::minutes(1)));
}

inline int num_running(const Served& served) {
  const Ended listed = served.ask({"jobs", "--json"});
  REQUIRE_MESSAGE(listed.exit_code == 0, listed.error);
  int running = 0;
  for (const auto& job : nlohmann::json::parse(listed.out))
    running += job["state"] == "running" ? 1 : 0;
  return running;
}

inline void wait_until_running(const Served& served, int jobs) {
  wait_until([&] { return num_running(served) == jobs; });
}

// The only host there is, as troupe nodes has it.
inline nlohmann::json host_of(const Served& served) {
  const Ended nodes = served.ask({"nodes", "--json"});
  REQUIRE_MESSAGE(nodes.exit_code == 0, nodes.error);
  const auto hosts = nlohmann::json::parse(nodes.out);
  REQUIRE(hosts.size() == 1);
  return hosts[0];
}

// What `troupe run` gives for the same job.
inline std::string alone(const ShortJob& job, const std::vector<std::string>& set) {
  Invocation invocation = job.run("alone", set);
  invocation.arguments.push_back("--overwrite");
  const Ended ended = troupe(invocation);
  REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
  return nlohmann::json::parse(ended.out)["weights_sha256"];
}

}  // namespace troupe::tests
