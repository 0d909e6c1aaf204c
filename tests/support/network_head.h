// A head that users of other hosts reach with keys: alice and bob, who have jobs, and olga, who is
// an operator; and a node's key, gpu-7.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/short_job.h"

namespace troupe::tests {

class NetworkHead {
 public:
  // `options` of the daemon, beside those that say where it is.
  explicit NetworkHead(std::vector<std::string> options = {}) : options_(std::move(options)) {
    REQUIRE(keys({"init"}).exit_code == 0);
    for (const char* name : {"alice", "bob"}) REQUIRE(keys({"user", name}).exit_code == 0);
    REQUIRE(keys({"user", "olga", "--operator"}).exit_code == 0);
    REQUIRE(keys({"node", "gpu-7"}).exit_code == 0);
    start("127.0.0.1:0");
  }

  void start(const std::string& address) {
    std::vector<std::string> arguments = {
        "--home", job_.file("daemon"), "--server",    job_.file("door"), "--listen",
        address,  "--listen-nodes",    "127.0.0.1:0", "--keys",          job_.file("keys")};
    arguments.insert(arguments.end(), options_.begin(), options_.end());
    daemon_.emplace(Invocation{.arguments = arguments, .name = "trouped"});
    REQUIRE(daemon_->says(", jobs in"));
    const std::string said = daemon_->error();
    const size_t begin = said.find(" and ") + 5;
    address_ = said.substr(begin, said.find(", jobs in") - begin);
  }

  Ended keys(std::vector<std::string> words) const {
    words.insert(words.begin(), "keys");
    words.insert(words.end(), {"--keys", job_.file("keys")});
    return troupe({.arguments = words, .folder = job_.folder()});
  }
  std::string key_path(const std::string& name) const { return job_.file(name + ".key"); }

  std::vector<std::string> with_key(const std::string& name, std::vector<std::string> words) const {
    words.insert(words.end(), {"--server", address_, "--key", key_path(name)});
    return words;
  }
  Ended as(const std::string& name, const std::vector<std::string>& words) const {
    return troupe(with_key(name, words));
  }
  Ended here(std::vector<std::string> words) const {
    words.insert(words.end(), {"--server", job_.file("door")});
    return troupe(words);
  }

  static int id_of(const Ended& submitted) {
    REQUIRE_MESSAGE(submitted.exit_code == 0, submitted.error);
    return nlohmann::json::parse(submitted.out)["id"];
  }

  const ShortJob& job() const { return job_; }
  Process& daemon() { return *daemon_; }
  const std::string& address() const { return address_; }

 private:
  ShortJob job_{};
  std::vector<std::string> options_;
  std::optional<Process> daemon_{};
  std::string address_{};
};

}  // namespace troupe::tests
