// A thousand damaged stores and a thousand damaged recovery points: none is used.
#include "tests/faults/corruption.h"

namespace troupe {
namespace {

TEST_CASE("corruption: of a thousand damaged stores none gives other records") {
  tests::check_store_corruptions(1000);
}

TEST_CASE("corruption: of a thousand damaged recovery points none is loaded") {
  tests::check_point_corruptions(1000);
}

}  // namespace
}  // namespace troupe
