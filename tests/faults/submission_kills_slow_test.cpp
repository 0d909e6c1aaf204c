// Ten thousand submissions over hundreds of kills.
#include "tests/faults/submission_kills.h"

namespace troupe {
namespace {

TEST_CASE("submissions: 10,000 over more than 200 kills, each acknowledged one is there once") {
  tests::check_submission_kills({.submissions = 10'000, .kills = 200, .clients = 8, .seed = 4});
}

}  // namespace
}  // namespace troupe
