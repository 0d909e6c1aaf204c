// troupe keys, as a shell sees it.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/process.h"

namespace troupe {
namespace {

using tests::troupe;

TEST_CASE("troupe keys: made, listed and revoked") {
  const tests::TempDir dir;
  const std::string keys = dir.file("keys");
  const auto run = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "keys");
    words.insert(words.end(), {"--keys", keys});
    return troupe({.arguments = words, .folder = dir.path()});
  };
  const auto none = run({"user", "alice"});
  CHECK(none.exit_code == 2);
  CHECK(none.error == "troupe keys user: there are no keys in " + keys +
                          "; make them with: troupe keys init --keys " + keys + "\n");

  const auto made = run({"init"});
  CHECK(made.exit_code == 0);
  CHECK(made.out.rfind("keys in " + keys + "; the head's public key is ", 0) == 0);
  CHECK(run({"init"}).exit_code == 2);

  const auto alice = run({"user", "alice"});
  CHECK(alice.exit_code == 0);
  CHECK(alice.out.rfind("alice.key: the key of user alice; ", 0) == 0);
  CHECK(std::filesystem::exists(dir.file("alice.key")));
  CHECK(run({"user", "olga", "--operator", "--out", "o.key"})
            .out.rfind("o.key: the key of operator olga; ", 0) == 0);
  CHECK(run({"node", "gpu-7"}).out.rfind("gpu-7.key: the key of node gpu-7; ", 0) == 0);

  const auto again = run({"user", "alice", "--out", "other.key"});
  CHECK(again.exit_code == 2);
  CHECK(again.error.find("alice has a key already") != std::string::npos);
  CHECK(!std::filesystem::exists(dir.file("other.key")));
  const auto over = run({"user", "bob", "--out", "alice.key"});
  CHECK(over.exit_code == 2);
  CHECK(over.error.find("alice.key is there already") != std::string::npos);
  const auto named = run({"user", "Bob"});
  CHECK(named.exit_code == 2);
  CHECK(named.error.find("\"Bob\" is no name") != std::string::npos);

  const auto listed = run({"list"});
  CHECK(listed.exit_code == 0);
  CHECK(listed.out.rfind("NAME   ROLE      PUBLIC KEY\nalice  user      ", 0) == 0);
  CHECK(listed.out.find("\ngpu-7  node      ") != std::string::npos);
  CHECK(listed.out.find("\nolga   operator  ") != std::string::npos);
  const auto json = nlohmann::json::parse(run({"list", "--json"}).out);
  REQUIRE(json["keys"].size() == 3);
  CHECK(json["keys"][0]["name"] == "alice");
  CHECK(json["keys"][0]["role"] == "user");
  CHECK(json["keys"][1]["kind"] == "node");
  CHECK(json["keys"][1]["role"].is_null());
  CHECK(json["keys"][2]["role"] == "operator");

  CHECK(run({"revoke", "alice"}).out ==
        "alice has no key any more; a running head knows it within a second\n");
  const auto gone = run({"revoke", "alice"});
  CHECK(gone.exit_code == 2);
  CHECK(gone.error == "troupe keys revoke: nobody called alice has a key in " + keys +
                          "; there are olga, gpu-7\n");
}

TEST_CASE("troupe keys: each help has an example") {
  for (const std::string verb : {"init", "node", "user", "list", "revoke"}) {
    const auto help = troupe({"keys", verb, "--help"});
    CHECK(help.exit_code == 0);
    CHECK(help.out.find("Example:\n  troupe keys " + verb) != std::string::npos);
  }
  CHECK(troupe({"keys", "--help"}).out.find("trouped --listen") != std::string::npos);
  CHECK(troupe({"keys"}).exit_code == 2);
}

}  // namespace
}  // namespace troupe
