#include "cluster/monitor/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace troupe::cluster {
namespace {

constexpr char32_t kInvalid = 0xfffd;
constexpr char32_t kLineBreak = U'⏎';
constexpr int kCodePointsOfColumnMax = 4;

// Takes one code point off the front of `text`, which must not be empty.
char32_t take_code_point(std::string_view& text) {
  const auto byte = [&text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const size_t size = first < 0x80   ? 1
                      : first < 0xc2 ? 0
                      : first < 0xe0 ? 2
                      : first < 0xf0 ? 3
                      : first < 0xf5 ? 4
                                     : 0;
  if (size == 0 || size > text.size()) {
    text.remove_prefix(1);
    return kInvalid;
  }
  constexpr unsigned char kFirstBits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  char32_t code = first & kFirstBits[size];
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) {
      text.remove_prefix(1);
      return kInvalid;
    }
    code = code << 6 | (byte(i) & 0x3f);
  }
  const bool is_overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  const bool is_surrogate = code >= 0xd800 && code < 0xe000;
  text.remove_prefix(is_overlong || is_surrogate || code > 0x10ffff ? 1 : size);
  return is_overlong || is_surrogate || code > 0x10ffff ? kInvalid : code;
}

void append(std::string& text, char32_t code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xc0 | code >> 6);
    text += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    text += static_cast<char>(0xe0 | code >> 12);
    text += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    text += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    text += static_cast<char>(0xf0 | code >> 18);
    text += static_cast<char>(0x80 | (code >> 12 & 0x3f));
    text += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    text += static_cast<char>(0x80 | (code & 0x3f));
  }
}

bool is_between(char32_t code, char32_t low, char32_t high) { return code >= low && code <= high; }

// Controls, and the marks that reorder or hide what follows.
bool is_harmful(char32_t code) {
  return code < 0x20 || is_between(code, 0x7f, 0x9f) || code == 0xad || code == 0x61c ||
         is_between(code, 0x200b, 0x200f) || is_between(code, 0x2028, 0x202e) ||
         is_between(code, 0x2060, 0x206f) || code == 0xfeff || is_between(code, 0xfff0, 0xfffb) ||
         is_between(code, 0xe0000, 0xe0fff);
}

int columns_of(char32_t code) {
  if (is_between(code, 0x300, 0x36f) || is_between(code, 0xfe00, 0xfe0f)) return 0;
  const bool is_wide = is_between(code, 0x1100, 0x115f) || is_between(code, 0x2e80, 0xa4cf) ||
                       is_between(code, 0xac00, 0xd7a3) || is_between(code, 0xf900, 0xfaff) ||
                       is_between(code, 0xfe30, 0xfe6f) || is_between(code, 0xff00, 0xff60) ||
                       is_between(code, 0xffe0, 0xffe6) || is_between(code, 0x1f300, 0x1faff) ||
                       is_between(code, 0x20000, 0x3fffd);
  return is_wide ? 2 : 1;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const char32_t code = take_code_point(text);
    if (code == '\n') {
      append(out, kLineBreak);
    } else if (code == '\t') {
      out += ' ';
    } else {
      append(out, is_harmful(code) ? U'·' : code);
    }
  }
  return out;
}

std::string valid_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) append(out, take_code_point(text));
  return out;
}

int columns_of(std::string_view text) {
  int columns = 0;
  while (!text.empty()) columns += columns_of(take_code_point(text));
  return columns;
}

std::string fit(std::string_view text, int columns) {
  if (columns <= 0) return {};
  if (columns_of(text) <= columns) return std::string(text);
  std::string out;
  int used = 0;
  while (!text.empty()) {
    const char32_t code = take_code_point(text);
    if (used + columns_of(code) > columns - 1) break;
    used += columns_of(code);
    append(out, code);
  }
  return out + "…";
}

std::vector<std::string> wrapped(std::string_view text, int columns) {
  std::vector<std::string> lines;
  if (columns <= 0) return lines;
  std::string line;
  int used = 0;
  int code_points = 0;
  const auto end_line = [&] {
    lines.push_back(std::move(line));
    line.clear();
    used = code_points = 0;
  };
  while (!text.empty()) {
    const char32_t code = take_code_point(text);
    if (code == kLineBreak) {
      end_line();
      continue;
    }
    const int wide = columns_of(code);
    const bool is_full = used + wide > columns || code_points >= kCodePointsOfColumnMax * columns;
    if (is_full && !line.empty()) end_line();
    append(line, wide > columns ? U'·' : code);
    used += std::min(wide, columns);
    ++code_points;
  }
  if (!line.empty()) end_line();
  return lines;
}

std::string bar(double share, int columns) {
  const int filled = static_cast<int>(
      std::lround(std::clamp(std::isfinite(share) ? share : 0.0, 0.0, 1.0) * std::max(columns, 0)));
  std::string text;
  for (int i = 0; i < columns; ++i) text += i < filled ? "█" : "░";
  return text;
}

std::vector<std::string> curve(std::span<const float> values, int columns, int rows, double low,
                               double high) {
  if (columns <= 0 || rows <= 0) return {};
  const int width = 2 * columns;  // A character is 2 dots wide and 4 high.
  const int height = 4 * rows;
  std::vector<std::vector<uint8_t>> cells(rows, std::vector<uint8_t>(columns, 0));
  const auto set = [&](int x, int y) {
    constexpr uint8_t kDots[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    cells[y / 4][x / 2] |= kDots[y % 4][x % 2];
  };
  const auto n = static_cast<int64_t>(values.size());
  const int dots = static_cast<int>(std::min<int64_t>(n, width));
  int previous = -1;
  for (int x = 0; x < dots; ++x) {
    const int64_t begin = n * x / dots;
    const int64_t end = std::max(n * (x + 1) / dots, begin + 1);
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) sum += values[static_cast<size_t>(i)];
    const double mean = sum / static_cast<double>(end - begin);
    if (!std::isfinite(mean)) {
      previous = -1;
      continue;
    }
    const double share = high > low ? std::clamp((mean - low) / (high - low), 0.0, 1.0) : 0.0;
    const int y = height - 1 - static_cast<int>(std::lround(share * (height - 1)));
    // A steep rise is drawn as a line, so that the eye follows it.
    const int from = previous < 0 ? y : previous;
    for (int step = std::min(from, y); step <= std::max(from, y); ++step) set(x, step);
    previous = y;
  }
  std::vector<std::string> lines;
  for (const auto& row : cells) {
    std::string line;
    for (uint8_t cell : row) append(line, cell == 0 ? U' ' : char32_t{0x2800} + cell);
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e9) return "-";
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole >= 3600) {
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  }
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string count(double value) {
  if (!std::isfinite(value)) return "-";
  if (value >= 1e9) return fmt::format("{:.2f}G", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.2f}M", value / 1e6);
  if (value >= 1e3) return fmt::format("{:.1f}k", value / 1e3);
  return fmt::format("{:.0f}", value);
}

std::string byte_count(uint64_t size) {
  constexpr std::array kUnits = {"kB", "MB", "GB", "TB", "PB"};
  if (size < 1'000) return fmt::format("{} byte{}", size, size == 1 ? "" : "s");
  double value = static_cast<double>(size) / 1'000;
  size_t unit = 0;
  // What would be shown as 1000.0 is one of the next unit.
  for (; value >= 999.95 && unit + 1 < kUnits.size(); ++unit) value /= 1'000;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace troupe::cluster
