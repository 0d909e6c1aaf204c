#include "actors/verifier/printable.h"

#include <doctest/doctest.h>

#include <vector>

namespace troupe::actors {
namespace {

TEST_CASE("printable: one line of well-formed UTF-8, whatever the bytes are") {
  CHECK(printable("a\nb\tc\x7F", 40) == "a?b?c?");
  CHECK(printable("\xC2\x85|\xC3\xA9|\xE4\xBD\xA0", 40) == "?|\xC3\xA9|\xE4\xBD\xA0");
  CHECK(printable("\xFF\xC3", 40) == "??");
  CHECK(printable("abcdef", 3) == "abc...");
  CHECK(printable("a\xC3\xA9", 2) == "a...");  // No half of a character.
}

TEST_CASE("printable: a text that ends in the middle of a character is not read beyond its end") {
  // Without the zero that a string has behind it, so that a sanitizer would see it.
  for (const std::vector<char>& bytes :
       {std::vector<char>{'\xC2'}, {'a', '\xE4', '\xBD'}, {'\xF0', '\x9F', '\x98'}}) {
    const std::string shown = printable({bytes.data(), bytes.size()}, 40);
    CHECK(shown.find_first_not_of("a?") == std::string::npos);
  }
}

}  // namespace
}  // namespace troupe::actors
