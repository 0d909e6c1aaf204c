// A daemon that runs several jobs at once: none of them knows of the others.
#include <doctest/doctest.h>

#include "tests/support/served.h"

namespace troupe {
namespace {

using tests::alone;
using tests::host_of;
using tests::Served;
using tests::ShortJob;
using tests::wait_until_running;

using Words = std::vector<std::string>;

// Long enough that both are at work at the same time; a learner of two ranks has a team's folder.
const Words kFirst = {"sft.steps=80", "grpo.steps=20"};
const Words kSecond = {"sft.steps=80", "grpo.steps=20", "seed=2", "resources.learner=2"};

TEST_CASE("several jobs: two at once end as each does alone, also after kill -9 of their daemon") {
  const ShortJob job;
  Served served(job, 4);
  const int first = served.submit(kFirst);
  const int second = served.submit(kSecond);
  wait_until_running(served, 2);
  const auto host = host_of(served);
  CHECK(host["slots"] == 4);
  CHECK(host["used"] == 3);
  CHECK(host["tenants"].size() == 2);
  served.daemon().signal(SIGKILL);
  CHECK(served.daemon().wait().exit_code == -1);
  served.start();
  served.watch(first, 0);
  served.watch(second, 0);
  CHECK(served.show(first)["weights_sha256"] == alone(job, kFirst));
  CHECK(served.show(second)["weights_sha256"] == alone(job, kSecond));
}

TEST_CASE("several jobs: SIGTERM stops all of them after the step under way, and all go on") {
  const ShortJob job;
  Served served(job, 2);
  const int first = served.submit(kFirst);
  const int second = served.submit({"sft.steps=80", "grpo.steps=20", "seed=3"});
  wait_until_running(served, 2);
  served.daemon().signal(SIGTERM);
  CHECK(served.daemon().wait().exit_code == 0);
  served.start();
  served.watch(first, 0);
  served.watch(second, 0);
  CHECK(served.show(first)["weights_sha256"] == alone(job, kFirst));
}

}  // namespace
}  // namespace troupe
