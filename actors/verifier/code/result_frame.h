// What comes out of a box beside standard output: one frame that carries the run's secret. The
// bytes may have been written by anyone in the box.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::actors {

// call.py: "SECRET STATUS SIZE\n" and SIZE bytes; nothing before, nothing after.
struct ResultFrame {
  std::string_view status{};
  std::string_view payload{};
};
std::optional<ResultFrame> read_result_frame(std::string_view bytes, std::string_view secret);

// check.py: "SECRET STATUS PASSED TOTAL DETAIL\n", one line.
struct TesterReport {
  std::string status{};
  int64_t passed = 0;
  std::string detail{};
};
std::optional<TesterReport> read_tester_report(std::string_view bytes, std::string_view secret);

}  // namespace troupe::actors
