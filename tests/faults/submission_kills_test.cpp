// A sample of what submission_kills_slow_test.cpp does.
#include "tests/faults/submission_kills.h"

namespace troupe {
namespace {

TEST_CASE("submissions: over kills of the daemon, each acknowledged one is there once") {
  tests::check_submission_kills({.submissions = 120, .kills = 4, .seed = 3});
}

}  // namespace
}  // namespace troupe
