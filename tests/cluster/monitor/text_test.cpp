#include "cluster/monitor/text.h"

#include <doctest/doctest.h>

using namespace troupe::cluster;

TEST_CASE("text: sizes as people read them") {
  CHECK(byte_count(0) == "0 bytes");
  CHECK(byte_count(1) == "1 byte");
  CHECK(byte_count(999) == "999 bytes");
  CHECK(byte_count(1'000) == "1.0 kB");
  CHECK(byte_count(999'949) == "999.9 kB");
  CHECK(byte_count(999'950) == "1.0 MB");
  CHECK(byte_count(7'600'000'000) == "7.6 GB");
  CHECK(byte_count(UINT64_MAX) == "18446.7 PB");
}
