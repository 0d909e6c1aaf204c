// Patterns written for another library: the same meaning, or a refusal.
#include "model/tokenizer/regex.h"

#include <doctest/doctest.h>

#include <optional>

namespace troupe::model {
namespace {

std::optional<std::string> first(std::string_view pattern, std::string_view text) {
  auto regex = Regex::compile(pattern);
  if (!regex) FAIL(regex.error().message);
  RegexScanner scanner(*regex);
  RegexScanner::Match match;
  if (scanner.find(text, 0, match) != RegexScanner::Found::kMatch) return std::nullopt;
  return std::string(text.substr(match.begin, match.end - match.begin));
}

TEST_CASE("regex: white space is Unicode's, inside of brackets and outside") {
  const std::string mongolian = "\u180e";  // A vowel separator that is no white space.
  for (const char* pattern : {"\\s", "[\\s]", "[^\\S]"}) {
    CHECK(first(pattern, "x\u00a0y") == "\u00a0");
    CHECK(first(pattern, "x\u3000y") == "\u3000");
    CHECK(first(pattern, "x\u0085y") == "\u0085");
    CHECK_FALSE(first(pattern, mongolian));
  }
  CHECK(first("\\S", " " + mongolian) == mongolian);
  CHECK(first("[^\\s\\p{L}]", " a" + mongolian) == mongolian);
  CHECK(first("[-\\s]", "a-") == "-");
  CHECK(first("[\\s-]", "a-") == "-");
}

TEST_CASE("regex: classes, scripts and code points") {
  CHECK(first("\\p{Han}+", "aか漢字") == "漢字");
  CHECK(first("[\\p{Lu}\\p{Lt}]", "aÉ") == "É");
  CHECK(first("\\d", "x٣") == "٣");
  CHECK(first("[^\\D]", "x9") == "9");
  CHECK(first("\\u4e00|\\x{41}|\\x42", "zB") == "B");
  CHECK(first("[\\u4e00-\\u9fa5]+", "a中文b") == "中文");
  CHECK(first("(?i:'s|'t)", "IT'S") == "'S");
  CHECK(first("(?<=a)b++(?!c)", "bab") == "b");
  CHECK(first("\\p{N}{1,3}", "12345") == "123");
  CHECK(first("^b$", "a\nb\nc") == "b");
  CHECK(first("\\v", "\x0b") == "\x0b");
}

TEST_CASE("regex: what the two languages read differently is refused") {
  for (const char* pattern : {"\\w",
                              "\\h",
                              "\\b",
                              "\\K",
                              "\\R",
                              "\\G",
                              "\\1",
                              "\\k<a>",
                              "(?<a>x)",
                              "(?i)x",
                              "(?m:x)",
                              "(?#x)",
                              "(*ACCEPT)",
                              "(*LIMIT_MATCH=1)a",
                              "[[:alpha:]]",
                              "[a&&b]",
                              "[]a]",
                              "[a",
                              "a{,3}",
                              "a{1}?",
                              "a{1,2}+",
                              "{",
                              "\\p{^L}",
                              "\\pL",
                              "\\p{No_Such_Script}",
                              "\\x{110000000}",
                              "\\xff",
                              "\\u12",
                              "[a-\\s]",
                              "[\\s-a]",
                              "(",
                              ")",
                              "*",
                              "a**",
                              "\\"}) {
    CAPTURE(pattern);
    const auto regex = Regex::compile(pattern);
    REQUIRE_FALSE(regex);
    CHECK(regex.error().code == ErrorCode::kInvalidArgument);
    CHECK(regex.error().message.find('\n') == std::string::npos);
  }
  CHECK_FALSE(Regex::compile(std::string(17 << 10, 'a')));
  CHECK_FALSE(Regex::compile(std::string(100, '(') + std::string(100, ')')));
}

TEST_CASE("regex: a literal has no signs of its own") {
  auto regex = Regex::literal("a.b\\[");
  REQUIRE(regex);
  RegexScanner scanner(*regex);
  RegexScanner::Match match;
  CHECK(scanner.find("axb\\[a.b\\[", 0, match) == RegexScanner::Found::kMatch);
  CHECK(match.begin == 5);
}

}  // namespace
}  // namespace troupe::model
