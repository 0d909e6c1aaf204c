// Jobs that want the same slots of a daemon's host: who gives way, and that nobody's history shows
// it.
#include <doctest/doctest.h>

#include "tests/support/served.h"

namespace troupe {
namespace {

using tests::alone;
using tests::Ended;
using tests::host_of;
using tests::Served;
using tests::ShortJob;
using tests::wait_until;
using tests::wait_until_running;

using Words = std::vector<std::string>;

// Long enough that others come while it runs.
const Words kLong = {"sft.steps=80", "grpo.steps=20"};

TEST_CASE("shared host: a higher priority takes the place of a lower one, which goes on later") {
  const ShortJob job;
  Served served(job, 1);
  const int low = served.submit(kLong);
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
  CHECK(served.show(low)["weights_sha256"] == alone(job, kLong));
}

TEST_CASE("shared host: rollouts that are lent and taken back leave no trace in the weights") {
  const ShortJob job;
  Served served(job, 3);
  Words lent = kLong;
  lent.push_back("resources.rollout_max=3");
  const int malleable = served.submit(lent);
  wait_until_running(served, 1);
  wait_until([&] { return host_of(served)["lent"] == 2; });
  // Two more want what is lent.
  const int second = served.submit({"seed=2"});
  const int third = served.submit({"seed=3"});
  served.watch(second, 0);
  served.watch(third, 0);
  served.watch(malleable, 0);
  CHECK(served.show(malleable)["weights_sha256"] == alone(job, kLong));
  CHECK(served.show(second)["weights_sha256"] == alone(job, {"seed=2"}));
}

TEST_CASE("shared host: a drained host begins nothing until it is used again") {
  const ShortJob job;
  Served served(job, 2);
  const int running = served.submit(kLong);
  wait_until_running(served, 1);
  const std::string host = host_of(served)["name"];
  CHECK(served.ask({"drain", "nowhere"}).exit_code == 2);
  CHECK(served.ask({"drain", host}).exit_code == 0);
  wait_until_running(served, 0);
  const Ended why = served.ask({"why", std::to_string(running)});
  CAPTURE(why.out);
  CHECK(why.out.find("no host takes jobs; host " + host + " is drained") != std::string::npos);
  CHECK(served.ask({"undrain", host}).exit_code == 0);
  served.watch(running, 0);
  CHECK(served.show(running)["weights_sha256"] == alone(job, kLong));
}

}  // namespace
}  // namespace troupe
