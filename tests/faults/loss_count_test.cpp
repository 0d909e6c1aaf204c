// Which losses count against a group: its workers' own faults, and nothing that came from outside.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>

#include "actors/crew/worker_pool.h"

namespace troupe::actors {
namespace {

// A pool with one rollout and learner, which is given one group again and again.
class OneWorker {
 public:
  OneWorker() : pool_({{.roles = {.rollout = true, .learner = true}}}, Lease{}, {}) {
    pool_.start(now_);
    GenerateGroups request;
    request.groups.push_back({.id = {Round{0}, 0}});
    pool_.generate(std::move(request), now_);
  }

  // The worker comes up, has the group, and ends like this.
  void ends(ProcessEnd end) {
    end.pid = ++pid_;
    pool_.tick(now_ += 0.1);
    pool_.started(0, "token", pid_, now_);
    const auto epoch = pool_.hello({.token = "token", .pid = pid_, .arithmetic_id = "cpu-1"}, now_);
    REQUIRE(epoch);
    pool_.received(0, *epoch, 0, WorkerReady{}, now_);
    pool_.ended(end, now_);
  }

  bool is_abandoned() {
    const auto commands = pool_.take_commands();
    return std::any_of(commands.begin(), commands.end(), [](const PoolCommand& command) {
      return std::holds_alternative<pool::GroupAbandoned>(command);
    });
  }

 private:
  WorkerPool pool_;
  double now_ = 0;
  uint64_t pid_ = 0;
};

TEST_CASE("worker_pool: a group is given up after three faults of its workers") {
  OneWorker worker;
  worker.ends({.signal = SIGSEGV});
  worker.ends({.exit_code = 1});
  CHECK_FALSE(worker.is_abandoned());
  worker.ends({.signal = SIGABRT});
  CHECK(worker.is_abandoned());
}

TEST_CASE("worker_pool: workers that are ended from outside cost no group") {
  OneWorker worker;
  for (const int signal : {SIGKILL, SIGTERM, SIGINT, SIGHUP}) {
    worker.ends({.signal = signal});
    worker.ends({.exit_code = 0});  // It had lost its head.
  }
  CHECK_FALSE(worker.is_abandoned());
}

}  // namespace
}  // namespace troupe::actors
