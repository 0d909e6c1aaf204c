#include "actors/verifier/code/output_compare.h"

#include <doctest/doctest.h>

namespace troupe::actors {
namespace {

bool is_same(std::string_view output, std::string_view expected) {
  return difference(output, expected).empty();
}

TEST_CASE("output: white space at ends and between words does not count, lines do") {
  CHECK(is_same("1 2\n3", "1 2\n3\n"));
  CHECK(is_same("  1   2 \r\n3 \n\n\n", "1 2\n3"));
  CHECK(is_same("", "\n"));
  CHECK(is_same("a\n\nb", "a\nb"));
  CHECK_FALSE(is_same("1\n2", "1 2"));
  CHECK_FALSE(is_same("1 2", "1\n2"));
  CHECK_FALSE(is_same("12", "1 2"));
  CHECK_FALSE(is_same("", "1"));
  CHECK_FALSE(is_same("1\n2", "1"));
  CHECK_FALSE(is_same("1", "1\n2"));
}

TEST_CASE("output: words are equal as text or as numbers") {
  CHECK(is_same("YES", "YES"));
  CHECK(is_same("007", "7"));
  CHECK(is_same("00101", "00101"));
  CHECK_FALSE(is_same("101", "00101"));
  CHECK_FALSE(is_same("0", "000"));
  CHECK(is_same("0.50", "0.5"));
  CHECK(is_same("+7", "7"));
  CHECK(is_same("7.0", "7"));
  CHECK(is_same("-0", "0"));
  CHECK(is_same("0.333333333", "0.3333333"));
  CHECK(is_same("3.0000001", "3.0"));
  CHECK(is_same("1e3", "1000.0"));
  CHECK(is_same("123456789012345678901234567890", "123456789012345678901234567890"));
  CHECK_FALSE(is_same("yes", "YES"));
  CHECK_FALSE(is_same("7.1", "7"));
  CHECK_FALSE(is_same("7.0000001", "7"));
  CHECK_FALSE(is_same("-7", "7"));
  CHECK_FALSE(is_same("0.3333", "0.3334"));
  CHECK_FALSE(is_same("123456789012345678901234567890", "123456789012345678901234567891"));
  CHECK_FALSE(is_same("9007199254740993.0", "9007199254740992"));
  CHECK_FALSE(is_same("nan", "1.0"));
  CHECK_FALSE(is_same("inf", "1e999"));
  CHECK_FALSE(is_same("0x10", "16.0"));
  CHECK_FALSE(is_same("1e99999", "1e99998"));
}

TEST_CASE("output: a difference is told without the expected word and without raw bytes") {
  const std::string said = difference("a\nb \x1b[31m", "a\nb secret");
  CHECK(said.find("line 2") != std::string::npos);
  CHECK(said.find("secret") == std::string::npos);
  CHECK(said.find('\x1b') == std::string::npos);
}

}  // namespace
}  // namespace troupe::actors
