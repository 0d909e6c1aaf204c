// A daemon that runs several jobs at once: none of them knows of the others.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/support/served.h"

namespace troupe {
namespace {

using nlohmann::json;
using tests::alone;
using tests::Ended;
using tests::Served;
using tests::ShortJob;

using Words = std::vector<std::string>;

// Long enough that both are at work at the same time; a learner of two ranks has a team's folder.
const Words kFirst = {"sft.steps=60", "grpo.steps=20"};
const Words kSecond = {"sft.steps=60", "grpo.steps=20", "seed=2", "resources.learner=2"};

int num_running(const Served& served) {
  const Ended listed = served.ask({"jobs", "--json"});
  REQUIRE_MESSAGE(listed.exit_code == 0, listed.error);
  int running = 0;
  for (const auto& job : json::parse(listed.out)) running += job["state"] == "running" ? 1 : 0;
  return running;
}

void wait_until_running(const Served& served, int jobs) {
  for (int tries = 0; num_running(served) < jobs; ++tries) {
    REQUIRE(tries < 600);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

json host_of(const Served& served) {
  const Ended nodes = served.ask({"nodes", "--json"});
  REQUIRE_MESSAGE(nodes.exit_code == 0, nodes.error);
  const auto hosts = json::parse(nodes.out);
  REQUIRE(hosts.size() == 1);
  return hosts[0];
}

TEST_CASE("several jobs: two at once end as each does alone, also after kill -9 of their daemon") {
  const ShortJob job;
  Served served(job, 4);
  const int first = served.submit(kFirst);
  const int second = served.submit(kSecond);
  wait_until_running(served, 2);
  const json host = host_of(served);
  CHECK(host["slots"] == 4);
  CHECK(host["used"] == 3);
  CHECK(host["tenants"].size() == 2);
  served.daemon().signal(SIGKILL);
  CHECK(served.daemon().wait().exit_code == -1);
  served.start();
  wait_until_running(served, 2);
  served.watch(first, 0);
  served.watch(second, 0);
  CHECK(served.show(first)["weights_sha256"] == alone(job, kFirst));
  CHECK(served.show(second)["weights_sha256"] == alone(job, kSecond));
}

TEST_CASE("several jobs: SIGTERM stops all of them after the step under way, and all go on") {
  const ShortJob job;
  Served served(job, 2);
  const int first = served.submit(kFirst);
  const int second = served.submit({"sft.steps=60", "grpo.steps=20", "seed=3"});
  wait_until_running(served, 2);
  served.daemon().signal(SIGTERM);
  CHECK(served.daemon().wait().exit_code == 0);
  served.start();
  served.watch(first, 0);
  served.watch(second, 0);
  CHECK(served.show(first)["weights_sha256"] == alone(job, kFirst));
}

TEST_CASE("several jobs: a higher priority takes the place of a lower one, which goes on later") {
  const ShortJob job;
  Served served(job, 1);
  const int low = served.submit(kFirst);
  wait_until_running(served, 1);
  const int same = served.submit({});
  const Ended why = served.ask({"why", std::to_string(same)});
  CHECK(why.exit_code == 0);
  CAPTURE(why.out);
  CHECK(why.out.find("is the next to begin; needs 1 slot, 0 are free; waits for job " +
                     std::to_string(low)) != std::string::npos);
  const Ended jobs = served.ask({"jobs"});
  CHECK(jobs.out.find("is the next to begin") != std::string::npos);
  const int high = served.submit({"seed=2", "priority=5"});
  served.watch(high, 0);
  CHECK(served.show(low)["state"] != "finished");
  served.watch(low, 0);
  served.watch(same, 0);
  CHECK(served.show(low)["weights_sha256"] == alone(job, kFirst));
}

TEST_CASE("several jobs: rollouts that are lent and taken back leave no trace in the weights") {
  const ShortJob job;
  Served served(job, 3);
  Words lent = kFirst;
  lent.push_back("resources.rollout_max=3");
  const int malleable = served.submit(lent);
  wait_until_running(served, 1);
  for (int tries = 0; host_of(served)["lent"] != 2; ++tries) {
    REQUIRE(tries < 100);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  // Two more want what is lent.
  const int second = served.submit({"seed=2"});
  const int third = served.submit({"seed=3"});
  served.watch(second, 0);
  served.watch(third, 0);
  served.watch(malleable, 0);
  CHECK(served.show(malleable)["weights_sha256"] == alone(job, kFirst));
  CHECK(served.show(second)["weights_sha256"] == alone(job, {"seed=2"}));
}

TEST_CASE("several jobs: a drained host begins nothing until it is used again") {
  const ShortJob job;
  Served served(job, 2);
  const int running = served.submit(kFirst);
  wait_until_running(served, 1);
  const std::string host = host_of(served)["name"];
  CHECK(served.ask({"drain", "nowhere"}).exit_code == 2);
  CHECK(served.ask({"drain", host}).exit_code == 0);
  for (int tries = 0; num_running(served) > 0; ++tries) {
    REQUIRE(tries < 600);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  const Ended why = served.ask({"why", std::to_string(running)});
  CAPTURE(why.out);
  CHECK(why.out.find("no host takes jobs; host " + host + " is drained") != std::string::npos);
  CHECK(served.ask({"undrain", host}).exit_code == 0);
  served.watch(running, 0);
  CHECK(served.show(running)["weights_sha256"] == alone(job, kFirst));
}

}  // namespace
}  // namespace troupe
