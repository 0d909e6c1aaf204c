#include "actors/verifier/code/result_frame.h"

#include <charconv>

namespace troupe::actors {
namespace {

// The text before the next space, which is taken off; nothing without a space.
std::optional<std::string_view> next_field(std::string_view& rest) {
  const size_t end = rest.find(' ');
  if (end == rest.npos) return {};
  const std::string_view field = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return field;
}

std::optional<int64_t> count(std::string_view digits) {
  int64_t value = 0;
  if (digits.empty() || digits.size() > 9 || digits.front() == '-') return {};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return {};
  return value;
}

}  // namespace

std::optional<ResultFrame> next_result_frame(std::string_view& bytes, std::string_view secret) {
  const size_t line_end = bytes.find('\n');
  if (line_end == bytes.npos) return {};
  std::string_view line = bytes.substr(0, line_end);
  const std::string_view rest = bytes.substr(line_end + 1);
  if (next_field(line) != secret) return {};
  const auto ended = next_field(line);
  const auto size = count(line);
  if (!ended || !size || static_cast<size_t>(*size) > rest.size()) return {};
  bytes = rest.substr(static_cast<size_t>(*size));
  return ResultFrame{*ended, rest.substr(0, static_cast<size_t>(*size))};
}

std::optional<TesterReport> read_tester_report(std::string_view bytes, std::string_view secret) {
  if (bytes.empty() || bytes.find('\n') != bytes.size() - 1) return {};
  bytes.remove_suffix(1);
  if (next_field(bytes) != secret) return {};
  const auto status = next_field(bytes);
  const auto passed_text = next_field(bytes);
  const auto total_text = next_field(bytes);
  if (!status || !passed_text || !total_text) return {};
  const auto passed = count(*passed_text);
  if (!passed || !count(*total_text)) return {};
  return TesterReport{std::string(*status), *passed, std::string(bytes)};
}

}  // namespace troupe::actors
