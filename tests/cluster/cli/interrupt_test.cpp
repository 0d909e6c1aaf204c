#include "cluster/cli/interrupt.h"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace troupe::cluster {
namespace {

// Runs `body` in a process of its own and returns its wait status.
template <class Body>
int status_of(Body body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(body());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

TEST_CASE("interrupt: the first signal is a request, of either kind") {
  for (const int signal : {SIGINT, SIGTERM}) {
    const int status = status_of([signal] {
      watch_for_interrupts();
      if (is_interrupted()) return 1;
      ::raise(signal);
      return is_interrupted() ? 0 : 2;
    });
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
}

TEST_CASE("interrupt: the second signal ends the process, also when it is the other kind") {
  for (const int second : {SIGINT, SIGTERM}) {
    const int status = status_of([second] {
      watch_for_interrupts();
      ::raise(SIGINT);
      ::raise(second);
      return 0;
    });
    REQUIRE(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == second);
  }
}

TEST_CASE("interrupt: a stopped loop says so with its own code") {
  CHECK(stopped().code == ErrorCode::kStopped);
}

}  // namespace
}  // namespace troupe::cluster
