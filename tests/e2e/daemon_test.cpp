// The daemon as its users see it: one process serves, others ask.
#include <doctest/doctest.h>

#include <set>

#include "tests/support/served.h"

namespace troupe {
namespace {

using nlohmann::json;
using tests::alone;
using tests::Ended;
using tests::Process;
using tests::Served;
using tests::ShortJob;

const std::vector<std::string> kLong = {"grpo.steps=100000"};

TEST_CASE("daemon: jobs run one after another, and end as they would alone") {
  const ShortJob job;
  Served served(job);
  const int first = served.submit({});
  const int second = served.submit({"seed=2"});
  CHECK(second == first + 1);
  // The same request is the same job.
  const int third = served.submit({"seed=3"}, "once");
  CHECK(served.submit({"seed=3"}, "once") == third);
  served.watch(third, 0);
  CHECK(served.show(first)["state"] == "finished");
  CHECK(served.show(first)["weights_sha256"] == alone(job, {}));
  CHECK(served.show(second)["weights_sha256"] == alone(job, {"seed=2"}));
  CHECK(served.show(third)["weights_sha256"] == alone(job, {"seed=3"}));
  const Ended logs = served.ask({"logs", std::to_string(first)});
  CHECK(logs.exit_code == 0);
  CHECK(logs.out.find("grpo 2/2") != std::string::npos);
  CHECK(logs.out.find("finished") != std::string::npos);
  const Ended top = served.ask({"top"});
  CHECK(top.exit_code == 0);
  CHECK(top.out.find("short") != std::string::npos);
}

TEST_CASE("daemon: a job pauses, goes on to the same end, and is cancelled") {
  const ShortJob job;
  Served served(job);
  const std::vector<std::string> set = {"sft.steps=60", "grpo.steps=20"};
  const int paused = served.submit(set);
  const int waiting = served.submit(kLong);
  CHECK(served.ask({"pause", std::to_string(paused)}).exit_code == 0);
  // A paused job leaves its place to the next one.
  served.watch(paused, 3);
  CHECK(served.show(paused)["state"] == "paused");
  CHECK(served.ask({"cancel", std::to_string(waiting)}).exit_code == 0);
  served.watch(waiting, 3);
  CHECK(served.show(waiting)["state"] == "cancelled");
  CHECK(served.ask({"resume", std::to_string(waiting)}).exit_code == 2);
  CHECK(served.ask({"resume", std::to_string(paused)}).exit_code == 0);
  served.watch(paused, 0);
  CHECK(served.show(paused)["weights_sha256"] == alone(job, set));
  CHECK(served.ask({"show", "99"}).exit_code == 2);
}

TEST_CASE("daemon: kill -9 loses no accepted job, and what ran goes on by itself") {
  const ShortJob job;
  Served served(job);
  const std::vector<std::string> set = {"sft.steps=80", "grpo.steps=20"};
  const int running = served.submit(set);
  const int waiting = served.submit({});
  for (int kills = 0; kills < 3; ++kills) {
    served.daemon().signal(SIGKILL);
    CHECK(served.daemon().wait().exit_code == -1);
    served.start();
  }
  served.watch(waiting, 0);
  served.watch(running, 0);
  CHECK(served.show(running)["weights_sha256"] == alone(job, set));
  CHECK(served.show(waiting)["weights_sha256"] == alone(job, {}));
}

TEST_CASE("daemon: SIGTERM stops after the step under way, and the next one goes on") {
  const ShortJob job;
  Served served(job);
  const std::vector<std::string> set = {"sft.steps=80", "grpo.steps=20"};
  const int running = served.submit(set);
  REQUIRE(served.daemon().says("is running"));
  served.daemon().signal(SIGTERM);
  CHECK(served.daemon().wait().exit_code == 0);
  served.start();
  served.watch(running, 0);
  CHECK(served.show(running)["weights_sha256"] == alone(job, set));
}

TEST_CASE("daemon: a second one on the same home or door is refused, and so is a bad job") {
  const ShortJob job;
  Served served(job);
  for (const auto& [home, server] :
       {std::pair(job.file("daemon"), job.file("door2")), {job.file("home2"), served.server()}}) {
    const Ended second =
        Process({.arguments = {"--home", home, "--server", server}, .name = "trouped"}).wait();
    CHECK(second.exit_code == 2);
    CHECK(std::count(second.error.begin(), second.error.end(), '\n') == 1);
  }
  const Ended bad = served.ask({"submit", job.job(), "--set", "data.train=none.jsonl"});
  CHECK(bad.exit_code == 2);
  CHECK(bad.error.find("none.jsonl") != std::string::npos);
  const Ended jobs = served.ask({"jobs", "--json"});
  CHECK(jobs.out.find("short") == std::string::npos);
}

}  // namespace
}  // namespace troupe
