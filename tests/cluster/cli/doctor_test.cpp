// `troupe doctor` says what boxes reach here, to people and to programs.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "actors/verifier/sandbox/box.h"
#include "tests/support/process.h"

namespace troupe::cluster {
namespace {

TEST_CASE("doctor: the exit code and both outputs say what the probe found") {
  const bool is_full = actors::probe_box_support().level == actors::BoxLevel::kFull;
  tests::Process json({.arguments = {"doctor", "--json"}});
  const tests::Ended machine = json.wait();
  CHECK(machine.exit_code == (is_full ? 0 : 1));
  const auto parsed = nlohmann::json::parse(machine.out);
  CHECK(parsed["box_level"] == actors::name(actors::probe_box_support().level));
  CHECK(!parsed["findings"].empty());
  tests::Process table({.arguments = {"doctor"}});
  const tests::Ended people = table.wait();
  CHECK(people.exit_code == machine.exit_code);
  for (const auto& finding : parsed["findings"]) {
    CHECK(people.out.find(finding["part"].get<std::string>()) != std::string::npos);
  }
}

}  // namespace
}  // namespace troupe::cluster
