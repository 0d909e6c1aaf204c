// A sample of what corruption_slow_test.cpp does: every kind of file with every kind of damage.
#include "tests/faults/corruption.h"

namespace troupe {
namespace {

TEST_CASE("corruption: a damaged store is refused in words or has everything") {
  tests::check_store_corruptions(70);
}

TEST_CASE("corruption: a damaged recovery point is never loaded") {
  tests::check_point_corruptions(90);
}

}  // namespace
}  // namespace troupe
