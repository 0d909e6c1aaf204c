#include "actors/verifier/code/result_frame.h"

#include <doctest/doctest.h>

namespace troupe::actors {
namespace {

TEST_CASE("result frame: one after another, each with the secret and as long as it says") {
  std::string_view bytes =
      "abc exit 7\nvalue N"
      "abc signal 0\n";
  auto frame = next_result_frame(bytes, "abc");
  REQUIRE(frame);
  CHECK(frame->ended == "exit");
  CHECK(frame->payload == "value N");
  frame = next_result_frame(bytes, "abc");
  REQUIRE(frame);
  CHECK(frame->ended == "signal");
  CHECK(frame->payload.empty());
  CHECK_FALSE(next_result_frame(bytes, "abc"));
}

TEST_CASE("result frame: anything else is none") {
  for (std::string_view bytes :
       {"", "abc exit 7", "abd exit 7\nvalue N", "exit 7\nvalue N", "abc exit 8\nvalue N",
        "abc exit -1\nvalue N", "abc exit 99999999999999999999\nvalue N", "abc exit x\nvalue N",
        "abc  7\nvalue N0", "\n", "abc\n", " abc exit 7\nvalue N", "abc exit 0x7\nvalue N"}) {
    CAPTURE(bytes);
    std::string_view rest = bytes;
    const auto frame = next_result_frame(rest, "abc");
    CHECK((!frame || frame->ended.empty()));
  }
}

TEST_CASE("tester report: exactly one line with the secret") {
  const auto report = read_tester_report("abc failed 1 3 line 2 is wrong\n", "abc");
  REQUIRE(report);
  CHECK(report->status == "failed");
  CHECK(report->passed == 1);
  CHECK(report->detail == "line 2 is wrong");
  for (std::string_view bytes :
       {"", "abc passed 3 3 \nabc passed 3 3 \n", "abd passed 3 3 \n", "abc passed 3 3 ",
        "abc passed -3 3 \n", "abc passed x 3 \n", "abc passed 3\n", "passed 3 3 \n"}) {
    CAPTURE(bytes);
    CHECK_FALSE(read_tester_report(bytes, "abc"));
  }
}

}  // namespace
}  // namespace troupe::actors
