#include "schemas/nearest.h"

#include <doctest/doctest.h>

namespace troupe {

TEST_CASE("nearest: the likeliest name comes first, ties keep their order") {
  CHECK(nearest_first_list("palin", {"r1-zero", "chatml", "plain"}) == "plain, chatml, r1-zero");
  CHECK(nearest_first_list("", {"bb", "aa", "c"}) == "c, bb, aa");
  CHECK(nearest_first_list("anything", {}) == "");
  CHECK(nearest_first_list(std::string(1 << 20, 'x'), {"math", "xx"}) == "xx, math");
}

}  // namespace troupe
