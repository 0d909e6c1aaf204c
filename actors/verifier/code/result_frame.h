// What comes out of a box beside standard output: one frame that carries the run's secret. The
// bytes may have been written by anyone in the box.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::actors {

// call.py: for each test "SECRET ENDED SIZE\n" and SIZE bytes.
struct ResultFrame {
  std::string_view ended{};    // How the test's process ended: exit, signal, timeout.
  std::string_view payload{};  // What it wrote: "STATUS BYTES".
};
// Takes the first frame off the bytes; nothing where they do not begin with one.
std::optional<ResultFrame> next_result_frame(std::string_view& bytes, std::string_view secret);

// check.py: "SECRET STATUS PASSED TOTAL DETAIL\n", one line.
struct TesterReport {
  std::string status{};
  int64_t passed = 0;
  std::string detail{};
};
std::optional<TesterReport> read_tester_report(std::string_view bytes, std::string_view secret);

}  // namespace troupe::actors
