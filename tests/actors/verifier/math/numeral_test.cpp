#include "actors/verifier/math/numeral.h"

#include <doctest/doctest.h>

#include "actors/verifier/math/number_words.h"
#include "actors/verifier/math/unicode.h"

namespace troupe::actors {
namespace {

std::string text_of(std::string_view written) {
  return read_numeral(written, {}, {.is_first = true}).text;
}

TEST_CASE("math numeral: dots repeat what stands there twice, a single digit three times") {
  CHECK(text_of("0.3...") == "0.3");
  CHECK(text_of("1.644...") == "1.644");
  CHECK(text_of("3.1415...") == "3.1415");
  CHECK(text_of("2.718281828...") == "2.718281828");
  CHECK(text_of("0.333, ...") == "0.333");
  CHECK(text_of("0.33...") == "0.3[3]");
  CHECK(text_of("0.333...") == "0.33[3]");
  CHECK(text_of("0.1666\\ldots") == "0.166[6]");
  CHECK(text_of("0.1212 \\dots") == "0.12[12]");
  CHECK(text_of("0.142857142857...") == "0.142857[142857]");
  CHECK(text_of("0.333...5") == "0.333");
}

TEST_CASE("math numeral: marks and brackets say what repeats") {
  CHECK(text_of("0.\\overline{36}") == "0.(36)");
  CHECK(text_of("0.1\\overline 6") == "0.1(6)");
  CHECK(text_of("0.\\dot{1}4285\\dot{7}") == "0.(142857)");
  CHECK(text_of("0.(3)") == "0.(3)");
  CHECK(text_of("0.1(6)") == "0.1(6)");
  CHECK(text_of("0.5(10)+1") == "0.5");  // A product.
  CHECK(text_of("2.5(3)") == "2.5");
}

TEST_CASE("math numeral: only the right letters make an ordinal") {
  CHECK(ordinal_suffix("7", "th") == 2);
  CHECK(ordinal_suffix("21", "st") == 2);
  CHECK(ordinal_suffix("11", "th") == 2);
  CHECK(ordinal_suffix("7", "^{\\text{th}}") == 12);
  CHECK(ordinal_suffix("11", "st") == 0);
  CHECK(ordinal_suffix("1", "th") == 0);
  CHECK(ordinal_suffix("7", "this") == 0);
  CHECK(ordinal_suffix("7", "^{t h}") == 0);
  CHECK(ordinal_suffix("7.5", "th") == 0);
}

TEST_CASE("math numeral: words are numbers in their order only") {
  CHECK(number_in_words("forty-two") == 42);
  CHECK(number_in_words("one hundred and five") == 105);
  CHECK(number_in_words("two thousand twenty") == 2020);
  CHECK(!number_in_words("two forty"));
  CHECK(!number_in_words("forty twelve"));
  CHECK(!number_in_words("hundred"));
  CHECK(!number_in_words("forty or two"));
  CHECK(!number_in_words(""));
}

TEST_CASE("math unicode: what looks like a sign is one, what cannot be seen is nothing") {
  CHECK(with_ascii("10\xE2\x81\xBB\xC2\xB3") == "10^{-3}");
  CHECK(with_ascii("\xE2\x80\x8B"
                   "5") == "5");
  CHECK(with_ascii("\xE2\x80\x91"
                   "5") == "-5");
  CHECK(with_ascii("\xEF\xBC\x88\xEF\xBC\x91\xEF\xBC\x89") == "(1)");
  CHECK(with_ascii("5\xE5\xB9\xB3\xE6\x96\xB9\xE5\x8E\x98\xE7\xB1\xB3") == "5\\text{ cm}^2");
  CHECK(with_ascii("\xFF\xE2\x81") == "\xFF\xE2\x81");
}

}  // namespace
}  // namespace troupe::actors
