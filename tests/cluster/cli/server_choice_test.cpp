// Which daemon a command is for: a folder, a name, a host with a key.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "cluster/cli/door.h"
#include "tests/cluster/gateway/door_fixture.h"
#include "tests/cluster/keys/key_parts.h"
#include "tests/support/process.h"

namespace troupe::cluster {
namespace {

using tests::HeadKeys;

TEST_CASE("server choice: commands at a daemon of another host, by address and by name") {
  HeadKeys head;
  head.add_user("alice");
  const tests::TempDir dir;
  tests::JobBook book;
  const auto door = tests::open_door(
      {.folder = dir.file("door"),
       .network = FrontDoor::Network{.address = {"127.0.0.1", 0}, .keys = head.ring()}},
      book.at_once());
  const std::string address = text_of(*door->network_address());
  std::filesystem::create_directories(dir.file("config/troupe"));
  std::filesystem::copy_file(head.key_path("alice"), dir.file("config/troupe/alice.key"));
  tests::write_text(dir.file("config/troupe/servers.toml"),
                    "[lab]\naddress = \"" + address +
                        "\"\nkey = \"alice.key\"\n\n[attic]\naddress = \"attic:1\"\n\n"
                        "[odd]\naddress = \"attic\"\n\n[old]\naddress = \"a:1\"\ntoken = \"x\"\n");
  const auto run = [&](std::vector<std::string> words) {
    return tests::troupe({.arguments = std::move(words),
                          .environment = {{"XDG_CONFIG_HOME", dir.file("config")}},
                          .folder = dir.path()});
  };
  const auto line = [](const std::string& text) { return "troupe jobs: " + text + "\n"; };
  const std::string key = head.key_path("alice");
  const std::string servers = dir.file("config/troupe/servers.toml");
  const auto by_address = run({"jobs", "--server", address, "--key", key});
  CAPTURE(by_address.error);
  CHECK(by_address.exit_code == 0);
  CHECK(by_address.out.find("STATE") != std::string::npos);
  CHECK(run({"jobs", "--server", "lab"}).out == by_address.out);
  // A folder is a folder, also beside names.
  CHECK(run({"jobs", "--server", dir.file("door")}).out == by_address.out);
  CHECK(run({"jobs", "--server", "door"}).out == by_address.out);

  const auto refused = [&](const std::vector<std::string>& words) {
    const auto ended = run(words);
    CHECK(ended.exit_code == 2);
    CHECK(ended.out.empty());
    return ended.error;
  };
  CHECK(refused({"jobs", "--server", "lib"}) ==
        line(servers + " names no server lib; it names lab, odd, old, attic"));
  CHECK(refused({"jobs", "--server", "attic"}) ==
        line(servers + ": [attic] has no key = \"/path/of/NAME.key\""));
  CHECK(refused({"jobs", "--server", "odd"}).find("[odd] address: \"attic\" is no address") !=
        std::string::npos);
  CHECK(refused({"jobs", "--server", "old"}) ==
        line(servers + ": [old] has no token; it has address and key"));
  CHECK(refused({"jobs", "--server", address}).find("say --key FILE") != std::string::npos);
  CHECK(refused({"jobs", "--server", dir.file("door"), "--key", key})
            .find("is a folder of this host") != std::string::npos);
  CHECK(refused({"jobs", "--server", "head:x", "--key", key}).find("is no address") !=
        std::string::npos);
  CHECK(refused({"jobs", "--server", address, "--key", dir.file("none.key")}).find("none.key") !=
        std::string::npos);
  head.add_node("gpu-7");
  CHECK(refused({"jobs", "--server", address, "--key", head.key_path("gpu-7")})
            .find("is the key of a node, gpu-7") != std::string::npos);
  ::chmod(key.c_str(), 0644);
  CHECK(refused({"jobs", "--server", address, "--key", key}) ==
        line(key + " is open to other users; close it with: chmod 600 " + key));
  ::chmod(key.c_str(), 0600);
  tests::write_text(servers, "[lab\n");
  CHECK(refused({"jobs", "--server", "lab"}).find(servers + ":1: ") != std::string::npos);

  HostPort nobody;
  {
    const auto listening = listen_at({"127.0.0.1", 0});
    REQUIRE(listening);
    nobody = listening->address;
  }
  const auto away = run({"jobs", "--server", text_of(nobody), "--key", key});
  CHECK(away.exit_code == 1);
  CHECK(away.error.find("no answer from " + text_of(nobody) + ": Connection refused") !=
        std::string::npos);
  CHECK(std::count(away.error.begin(), away.error.end(), '\n') == 1);
}

TEST_CASE(
    "server choice: of a job for another host relative paths are read here, absolute ones are "
    "not") {
  HeadKeys head;
  head.add_user("alice");
  const tests::TempDir dir;
  tests::JobBook book;
  const auto door = tests::open_door(
      {.folder = dir.file("door"),
       .network = FrontDoor::Network{.address = {"127.0.0.1", 0}, .keys = head.ring()}},
      book.at_once());
  REQUIRE(tests::troupe({"init", dir.file("job.toml")}).exit_code == 0);
  const auto submit = [&](std::vector<std::string> words) {
    words.insert(words.begin(),
                 {"submit", dir.file("job.toml"), "--server", text_of(*door->network_address()),
                  "--key", head.key_path("alice")});
    return tests::troupe(words);
  };
  const auto relative = submit({});
  CHECK(relative.exit_code == 2);
  CHECK(relative.error.find("data.train: cannot read " + dir.file("data/train.jsonl")) !=
        std::string::npos);
  CHECK(relative.error.rfind("troupe submit: " + dir.file("job.toml") + ":", 0) == 0);
  CHECK(book.serve(ListJobs{}).jobs.empty());
  // These files are nowhere on this host.
  const auto absolute = submit({"--set", "data.train=/srv/a.jsonl", "--set",
                                "data.cold_start=[\"/srv/b.jsonl\", \"/srv/c.jsonl\"]", "--set",
                                "data.held_out=/srv/d.jsonl"});
  CHECK(absolute.exit_code == 0);
  CHECK(absolute.out == "1\n");
}

}  // namespace
}  // namespace troupe::cluster
