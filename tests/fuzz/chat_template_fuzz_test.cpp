// Seeded mutations of published chat templates through their target.
#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "model/chat_template/chat_template.h"
#include "tests/fuzz/mutations.h"
#include "tests/fuzz/targets.h"

namespace troupe::fuzz {
namespace {

TEST_CASE("chat template fuzz: 12,000 damaged templates are refused or run within bounds") {
  std::ifstream file(TROUPE_SOURCE_DIR "/tests/model/golden/chat_templates/published.json");
  std::vector<std::string> corpus;
  for (const auto& one : nlohmann::json::parse(file)) {
    const auto source = one["template"].get<std::string>();
    if (source.size() < 3000) corpus.push_back(source);
  }
  REQUIRE(corpus.size() > 25);
  Mutations mutations(
      corpus, {"{%",      "%}",    "{{",      "}}",          "{#",       "-",           "|trim",
               "|tojson", "|map",  "|list",   "|join",       "~",        "messages",    "loop.",
               "[::-1]",  "[-1]",  "* 99999", "range(9999)", ".split()", "namespace()", "|reverse",
               "|safe",   "|sort", "|items",  " if ",        " else ",   " in ",        "'\\x41'",
               "|indent", "%",     "**",      "//",          "none",     "is defined"},
      21);
  size_t num_run = 0;
  for (int i = 0; i < 12'000; ++i) {
    const std::string input = mutations.next(1 << 14);
    num_run += model::ChatTemplate::parse(input) ? 1 : 0;
    chat_template::fuzz_one(reinterpret_cast<const uint8_t*>(input.data()), input.size());
  }
  CHECK(num_run > 500);
}

}  // namespace
}  // namespace troupe::fuzz
