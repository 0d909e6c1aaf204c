// Checks of numbers on the command line, for what the parser itself would take for another number.
#pragma once

#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace troupe::cluster {

// Digits of a number that fits into 64 bits. The parser gives a -1 and what is too large another
// number, without a word.
inline std::string check_whole_number(const std::string& text) {
  bool is_one = !text.empty();
  uint64_t value = 0;
  for (char c : text) {
    const auto digit = static_cast<uint64_t>(c - '0');
    is_one = is_one && std::isdigit(static_cast<unsigned char>(c)) != 0 &&
             value <= (UINT64_MAX - digit) / 10;
    value = value * 10 + digit;
  }
  return is_one ? "" : text + " is no whole number in 0 .. 18446744073709551615";
}

// A range lets through what is not a number, since that is neither below nor above anything.
inline std::string check_is_number(const std::string& text) {
  return std::isnan(std::strtod(text.c_str(), nullptr)) ? text + " is not a number" : "";
}

}  // namespace troupe::cluster
