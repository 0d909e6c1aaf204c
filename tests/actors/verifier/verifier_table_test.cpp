#include "actors/verifier/verifier_table.h"

#include <doctest/doctest.h>

#include <limits>
#include <set>

namespace troupe::actors {
namespace {

using Texts = std::vector<std::string>;

std::string fault_of(const RewardSpec& reward) {
  const auto fault = find_fault(reward);
  return fault ? fault->key + ": " + fault->message : "";
}

TEST_CASE("verifier table: every entry can be found, explained and made from its defaults") {
  std::set<std::string> names;
  for (const VerifierEntry& entry : verifiers()) {
    CAPTURE(entry.name);
    CHECK(names.insert(std::string(entry.name)).second);
    CHECK(find_verifier(entry.name) == &entry);
    CHECK(!entry.comment.empty());
    CHECK(entry.make);
    for (const SettingRule& rule : entry.settings) {
      CAPTURE(rule.key);
      CHECK(!rule.comment.empty());
      CHECK(rule.key != "verifier");
      CHECK(rule.key != "weight");
    }
  }
}

TEST_CASE("verifier table: an unknown verifier or key is refused, the nearest known one first") {
  CHECK(fault_of({"format", "r1-format", 1}).find("it must be one of r1_format, ") !=
        std::string::npos);
  CHECK(fault_of({"a", "code", 1, {{"secnds", 5.0}}}).find("did you mean seconds?") !=
        std::string::npos);
  CHECK(fault_of({"a", "math", 1, {{"wieght", 5.0}}}).find("did you mean weight?") !=
        std::string::npos);
}

TEST_CASE("verifier table: languages by their usual names, and what a job allows by name") {
  for (const char* language : {"python", "Python 3", "C++17", "c"}) {
    CHECK(fault_of({"a", "code", 1, {{"language", std::string(language)}}}).empty());
  }
  for (const char* language : {"", "ruby", "Python 2"}) {
    CHECK(fault_of({"a", "code", 1, {{"language", std::string(language)}}})
              .find("must be one of python, cpp, c") != std::string::npos);
  }
  CHECK(fault_of({"a", "code", 1, {{"python_packages", true}}}).empty());
  CHECK(fault_of({"a", "code", 1, {{"python_packages", 1.0}}}).find("true or false") !=
        std::string::npos);
  CHECK(fault_of({"a", "math", 1, {{"extraction", std::string("last_number")}}}).empty());
  CHECK(fault_of({"a", "math", 1, {{"extraction", std::string("last")}}})
            .find("one of marked, last_number") != std::string::npos);
}

TEST_CASE("verifier table: the last number is an answer only where the reward says so") {
  const RewardSpec by_number{"a", "math", 1, {{"extraction", std::string("last_number")}}};
  for (const RewardSpec& reward : {RewardSpec{"a", "math", 1}, by_number}) {
    const VerifierEntry& entry = *find_verifier("math");
    auto made = entry.make(reward, Settings(entry.settings, reward), {});
    REQUIRE(made);
    const VerdictPart part = (*made)->verify({.text = "so it is 42.", .gold = "42"});
    CHECK((part.kind == VerdictKind::kEqual) == !reward.settings.empty());
  }
}

TEST_CASE("verifier table: a setting has its type and its range") {
  CHECK(fault_of({"a", "code", 1, {{"seconds", 5.0}}}).empty());
  CHECK(fault_of({"a", "code", 1, {{"seconds", true}}}).find("must be a number") !=
        std::string::npos);
  for (double bad : {0.0, -1.0, 1e9, std::numeric_limits<double>::quiet_NaN(),
                     std::numeric_limits<double>::infinity()}) {
    CAPTURE(bad);
    CHECK(fault_of({"a", "code", 1, {{"seconds", bad}}}).find("must be at least 0.1 and at most") !=
          std::string::npos);
  }
  CHECK(fault_of({"a", "code", 1, {{"memory_mb", 64.5}}}).find("must be an integer") !=
        std::string::npos);
  CHECK(fault_of({"a", "code", 1, {{"sandbox", std::string("none")}}})
            .find("one of full, namespaces_only") != std::string::npos);
  CHECK(fault_of({"a", "command", 1, {{"command", std::string("x")}}}).find("list of strings") !=
        std::string::npos);
  for (double weight : {-1.0, 1e7, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(fault_of({"a", "math", weight}).find("weight: rewards.a.weight is") == 0);
  }
}

TEST_CASE("verifier table: settings that contradict each other are refused") {
  CHECK(fault_of({"a", "length", 1}).find("max_tokens is not set") != std::string::npos);
  CHECK(fault_of({"a", "length", 1, {{"buffer_tokens", 9.0}, {"max_tokens", 8.0}}})
            .find("more than max_tokens") != std::string::npos);
  CHECK(fault_of({"a", "command", 1}).find("exactly one of command and trusted") !=
        std::string::npos);
  CHECK(fault_of({"a", "command", 1, {{"command", Texts{"x"}}, {"trusted", std::string("y")}}})
            .find("exactly one") != std::string::npos);
  CHECK(fault_of({"a", "command", 1, {{"command", Texts{"x"}}}, {{"../x", ""}}})
            .find("bad file name") != std::string::npos);
}

TEST_CASE("verifier table: a setting that a reward does not have is the default") {
  const VerifierEntry& code = *find_verifier("code");
  const RewardSpec reward{"a", "code", 1, {{"seconds", 7.0}}};
  const Settings settings(code.settings, reward);
  CHECK(settings.number("seconds") == 7);
  CHECK(settings.integer("memory_mb") == 512);
  CHECK(settings.text("language") == "python");
}

TEST_CASE("verifier table: the accuracy part is by math, else by code, else the first") {
  const RewardSpec math{"m", "math", 1}, code{"c", "code", 1}, form{"f", "r1_format", 1};
  CHECK(accuracy_part({form, code, math}) == 2);
  CHECK(accuracy_part({form, code}) == 1);
  CHECK(accuracy_part({form}) == 0);
  // Whose gold is asked for.
  CHECK(check_gold({form, math}, "5"));
  CHECK_FALSE(check_gold({form, math}, " "));
  CHECK_FALSE(check_gold({form, code}, "5"));
  CHECK(check_gold({form}, " "));
}

TEST_CASE("verifier table: a sandbox is as strong as the strictest reward wants it") {
  const RewardSpec math{"m", "math", 1}, strict{"c", "code", 1};
  const RewardSpec lenient{"l", "code", 1, {{"sandbox", std::string("namespaces_only")}}};
  CHECK_FALSE(needed_box_level({math}));
  CHECK(needed_box_level({math, lenient}) == BoxLevel::kNamespacesOnly);
  CHECK(needed_box_level({lenient, strict, math}) == BoxLevel::kFull);
  CHECK(seconds_max({math}) == 0);
  CHECK(seconds_max({math, strict}) == 2 * (62 + 100 * 34));
}

TEST_CASE("verifier table: only programs that the head knows are trusted") {
  const RewardSpec math{"m", "math", 1};
  const auto named = [](const char* name) {
    return RewardSpec{"r", "command", 1, {{"trusted", std::string(name)}}};
  };
  const std::vector<TrustedProgram> known = {{"checker", "/bin/checker"}, {"grader", "/bin/g"}};
  CHECK(find_trusted_programs({math}, known)->empty());
  const auto found = find_trusted_programs({math, named("grader"), named("grader")}, known);
  REQUIRE(found);
  CHECK(*found == std::vector<TrustedProgram>{{"grader", "/bin/g"}});
  const auto refused = find_trusted_programs({named("cheker")}, known);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kInvalidArgument);
  CHECK(refused.error().message.find("it has checker, grader") != std::string::npos);
}

}  // namespace
}  // namespace troupe::actors
