// How the hosts of a cluster are, asked by an operator: a head, nodes, and one behind a bad line.
#include <doctest/doctest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "tests/support/process.h"
#include "tests/support/tcp_forwarder.h"

namespace troupe {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using tests::Ended;
using tests::Process;

class Cluster {
 public:
  Cluster() {
    REQUIRE(keys({"init"}).exit_code == 0);
    for (const char* name : {"b", "c", "d"}) REQUIRE(keys({"node", name}).exit_code == 0);
    REQUIRE(keys({"user", "alice"}).exit_code == 0);
    REQUIRE(keys({"user", "olga", "--operator"}).exit_code == 0);
    tests::write_text(dir_.file("trouped.toml"),
                      "[head]\nhome = \"head\"\nserver = \"door\"\nkeys = \"keys\"\n"
                      "listen = \"127.0.0.1:0\"\nlisten_nodes = \"127.0.0.1:0\"\nslots = 0\n");
    head_.emplace(
        tests::Invocation{.arguments = {"--config", dir_.file("trouped.toml")}, .name = "trouped"});
    REQUIRE(head_->says("nodes join at 127.0.0.1:"));
    users_ = word_behind(" and ", ",");
    nodes_port_ = static_cast<uint16_t>(std::stoi(word_behind("nodes join at 127.0.0.1:", "\n")));
  }

  uint16_t nodes_port() const { return nodes_port_; }

  Process& start_node(const std::string& name, uint16_t port) {
    auto node = std::make_unique<Process>(tests::Invocation{
        .arguments = {"--join", "127.0.0.1:" + std::to_string(port), "--key",
                      dir_.file(name + ".key"), "--home", dir_.file(name), "--slots", "1"},
        .name = "trouped"});
    // The head lists it once it has said what runs there.
    const size_t before = json::parse(nodes().out).size();
    REQUIRE(node->waits_for([&] { return json::parse(nodes().out).size() > before; }, 30s));
    return *(started_[name] = std::move(node));
  }

  Ended doctor(const std::string& who, std::vector<std::string> words = {}) const {
    words.insert(words.begin(),
                 {"doctor", "--cluster", "--server", users_, "--key", dir_.file(who + ".key")});
    return tests::troupe(words);
  }

  Ended nodes() const { return tests::troupe({"nodes", "--json", "--server", dir_.file("door")}); }

 private:
  Ended keys(std::vector<std::string> words) const {
    words.insert(words.begin(), "keys");
    words.insert(words.end(), {"--keys", dir_.file("keys")});
    return tests::troupe({.arguments = words, .folder = dir_.path()});
  }
  std::string word_behind(const std::string& before, const std::string& after) const {
    const std::string& said = head_->error();
    const size_t begin = said.find(before);
    REQUIRE(begin != std::string::npos);
    const size_t from = begin + before.size();
    return said.substr(from, said.find(after, from) - from);
  }

  tests::TempDir dir_{};
  std::optional<Process> head_{};
  std::map<std::string, std::unique_ptr<Process>> started_{};
  std::string users_{};
  uint16_t nodes_port_ = 0;
};

std::map<std::string, json> by_name(const json& hosts) {
  std::map<std::string, json> found;
  for (const json& one : hosts) found[one["name"]] = one;
  return found;
}

// Lines that say what is wrong, but for those with `expected` in them.
int complaints_of(const std::string& said, const std::string& expected = "no such words") {
  std::istringstream lines(said);
  int count = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("WRONG", 0) == 0 && line.find(expected) == std::string::npos) ++count;
  }
  return count;
}

TEST_CASE("doctor --cluster: hosts that are well, one behind a bad line, and one that is away") {
  Cluster cluster;
  cluster.start_node("b", cluster.nodes_port());
  Process& c = cluster.start_node("c", cluster.nodes_port());
  const Ended well = cluster.doctor("olga");
  CHECK(well.out.find("GFLOP/s") != std::string::npos);
  CHECK(well.exit_code == (complaints_of(well.out) == 0 ? 0 : 1));
  // Three daemons on one machine that has other work are not always of one speed; what is said of
  // that, cluster/monitor/host_health_test.cpp tries.
  CHECK_MESSAGE(complaints_of(well.out, " computes at ") == 0, well.error);

  constexpr double kBytesPerSecond = 12.5e6;
  tests::TcpForwarder line(
      {.to_port = cluster.nodes_port(), .delay = 40ms, .bytes_per_second = kBytesPerSecond});
  cluster.start_node("d", line.port());
  const Ended all = cluster.doctor("olga", {"--json"});
  CHECK(all.exit_code == 1);
  CHECK(all.error.rfind("troupe doctor: ", 0) == 0);
  const json report = json::parse(all.out);
  const auto hosts = by_name(report["hosts"]);
  REQUIRE(hosts.size() == 4);
  for (const auto& [name, host] : hosts) {
    CAPTURE(host.dump());
    CHECK(host["failure"] == "");
    CHECK(host["flops_per_core"].get<double>() > 1e8);
    CHECK(host["disk_free_bytes"].get<uint64_t>() > 0);
    CHECK(host["memory_free_bytes"].get<uint64_t>() > 0);
    CHECK(host["memory_free_bytes"].get<uint64_t>() <= host["memory_bytes"].get<uint64_t>());
    CHECK(host["build"] == hosts.at("head")["build"]);
    CHECK(host["slots"] == (name == "head" ? 0 : 1));
    if (name == "head") continue;
    // All of them look at one clock.
    CHECK(std::abs(host["clock_ahead_seconds"].get<double>()) <=
          host["clock_uncertainty_seconds"].get<double>() + 1e-3);
    CHECK(host["round_trip_seconds"].get<double>() > 0);
  }
  const json& far = hosts.at("d");
  CHECK(far["round_trip_seconds"].get<double>() > 0.08);
  CHECK(far["round_trip_seconds"].get<double>() < 0.5);
  for (const char* way : {"bytes_per_second_there", "bytes_per_second_back"}) {
    CHECK(far[way].get<double>() > 0.5 * kBytesPerSecond);
    CHECK(far[way].get<double>() < 1.1 * kBytesPerSecond);
  }
  const std::string complaints = report["complaints"].dump();
  CHECK(complaints.find("d receives from the head at ") != std::string::npos);
  CHECK(complaints.find("d sends to the head at ") != std::string::npos);
  CHECK(complaints.find("d answers after ") != std::string::npos);

  // Free disk is told to all who list hosts.
  for (const json& host : json::parse(cluster.nodes().out)) {
    CHECK(host["disk_free_bytes"].get<uint64_t>() > 0);
  }
  const Ended user = cluster.doctor("alice");
  CHECK(user.exit_code == 2);
  CHECK(user.error == "troupe doctor: only operators examine hosts; ask one\n");

  c.signal(SIGSTOP);
  const auto is_away = [&] {
    return by_name(json::parse(cluster.nodes().out)).at("c")["state"] == "away";
  };
  REQUIRE(c.waits_for(is_away, 30s));
  const Ended away = cluster.doctor("olga");
  CHECK(away.exit_code == 1);
  CHECK(away.out.find("WRONG   c cannot be judged: it is away") != std::string::npos);
}

}  // namespace
}  // namespace troupe
