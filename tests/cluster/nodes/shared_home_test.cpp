#include "cluster/nodes/shared_home.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

using namespace troupe;
using namespace troupe::cluster;
using namespace troupe::tests;

namespace fs = std::filesystem;

namespace {

NodeHello hello_of(const std::string& home, const Canary& canary) {
  return {.instance = 5, .shared_home = home, .canary = canary.text()};
}

}  // namespace

TEST_CASE("shared_home: one folder is proven by each reading what the other writes") {
  const TempDir home;
  auto canary = Canary::set(home.path(), "b", 5);
  REQUIRE(canary);
  const Status unanswered = canary->check_answer();
  REQUIRE_FALSE(unanswered);
  CHECK(unanswered.error().message.find("this host does not see what the head writes") !=
        std::string::npos);
  CHECK_FALSE(answer_canary(home.path(), "b", hello_of(home.path() + "/", *canary)));
  CHECK(canary->check_answer());
  // The next head asks again.
  CHECK_FALSE(answer_canary(home.path(), "b", hello_of(home.path(), *canary)));
  write_text(home.file("canary/b/5.seen"), "x");
  CHECK_FALSE(canary->check_answer());
  { const Canary ends = std::move(*canary); }
  CHECK_FALSE(fs::exists(home.file("canary/b")));
  const auto none = Canary::set("", "b", 5);
  REQUIRE(none);
  CHECK(none->check_answer());
}

TEST_CASE("shared_home: a folder of the same name elsewhere is found out") {
  const TempDir home;
  const TempDir other;
  auto canary = Canary::set(other.path(), "b", 5);
  REQUIRE(canary);
  const auto refusal = [&](const NodeHello& hello) {
    const auto why = answer_canary(home.path(), "b", hello);
    return why.value_or("");
  };
  CHECK(refusal(hello_of(other.path(), *canary)) ==
        "the node says to share " + other.path() + ", and the head's --home is " + home.path());
  // Its host has another disk under that name.
  CHECK(refusal(hello_of(home.path(), *canary))
            .find("is not shared: what the node has written there is not seen by the head: ") !=
        std::string::npos);
  fs::create_directories(home.file("canary/b"));
  write_text(home.file("canary/b/5"), "another text");
  CHECK(refusal(hello_of(home.path(), *canary)).find("another text is there") != std::string::npos);
  write_text(home.file("canary/b/5"), "");
  NodeHello nothing = hello_of(home.path(), *canary);
  nothing.canary.clear();
  CHECK_FALSE(refusal(nothing).empty());
  CHECK_FALSE(fs::exists(home.file("canary/b/5.seen")));
  const auto missing = Canary::set(home.file("none"), "b", 5);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ErrorCode::kInvalidArgument);
}
