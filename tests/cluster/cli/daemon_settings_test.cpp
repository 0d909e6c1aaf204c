// A daemon's file: what it sets, and in which words it is refused.
#include "cluster/cli/daemon_settings.h"

#include <doctest/doctest.h>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace troupe::cluster {
namespace {

DaemonSettings read(const std::string& text, DaemonSettings settings = {}) {
  const Status done = read_daemon_file(text, "/etc/troupe/d.toml", settings);
  REQUIRE_MESSAGE(done, (done ? "" : done.error().message));
  return settings;
}

std::string refused(const std::string& text, DaemonSettings settings = {}) {
  const Status done = read_daemon_file(text, "/etc/troupe/d.toml", settings);
  REQUIRE_FALSE(done);
  CHECK(done.error().code == ErrorCode::kInvalidArgument);
  return done.error().message;
}

constexpr const char* kHead =
    "[head]\nhome = \"/srv/troupe\"\nserver = \"door\"\nlisten = \"0.0.0.0:7733\"\n"
    "listen_nodes = \"0.0.0.0:7800\"\nkeys = \"../keys\"\nslots = 0\n"
    "allow_paths = [\"/data\", \"models\"]\n"
    "trusted_verifiers = [\"a=/bin/true\", \"b=/bin/false\"]\n";
constexpr const char* kJoin =
    "[join]\nhead = \"h:7734\"\nkey = \"b.key\"\nhome = \"/work\"\naddress = \"10.0.0.2\"\n"
    "shared_home = \"/shared\"\nslots = 8\n";

TEST_CASE("daemon settings: every key of both kinds arrives, paths from the file's folder") {
  const DaemonSettings head = read(kHead);
  CHECK(head.home == "/srv/troupe");
  CHECK(head.server == "/etc/troupe/door");
  CHECK(head.listen == "0.0.0.0:7733");
  CHECK(head.listen_nodes == "0.0.0.0:7800");
  CHECK(head.keys == "/etc/keys");
  CHECK(head.slots == 0u);
  CHECK(head.allowed_paths == std::vector<std::string>{"/data", "/etc/troupe/models"});
  CHECK(head.trusted_verifiers == std::vector<std::string>{"a=/bin/true", "b=/bin/false"});
  CHECK(head.join.empty());
  const DaemonSettings node = read(kJoin);
  CHECK(node.join == "h:7734");
  CHECK(node.key == "/etc/troupe/b.key");
  CHECK(node.home == "/work");
  CHECK(node.address == "10.0.0.2");
  CHECK(node.shared_home == "/shared");
  CHECK(node.slots == 8u);
}

TEST_CASE("daemon settings: one file for all hosts, and a flag says which table counts") {
  const std::string both = std::string(kHead) + kJoin;
  CHECK(refused(both).find("say --head, or --join HOST:PORT") != std::string::npos);
  const DaemonSettings head = read(both, {.is_head = true});
  CHECK(head.home == "/srv/troupe");
  CHECK(head.key.empty());
  const DaemonSettings node = read(both, {.join = "other:1"});
  CHECK(node.home == "/work");
  CHECK(node.listen.empty());
  CHECK(refused(kHead, {.join = "h:1"}).find("there is no [join]") != std::string::npos);
  CHECK(refused(kJoin, {.is_head = true}).find("there is no [head]") != std::string::npos);
}

TEST_CASE("daemon settings: what is wrong is named, with line and the nearest right name") {
  CHECK(refused("[head]\nhome = \"a\"\nlisten_node = \"x\"\n")
            .rfind("/etc/troupe/d.toml:3: unknown key head.listen_node; [head] has listen_nodes",
                   0) == 0);
  CHECK(refused("[jion]\nhead = \"x\"\n")
            .rfind("/etc/troupe/d.toml:1: unknown table jion; the tables are join", 0) == 0);
  CHECK(refused("[head]\nslots = \"8\"\n") ==
        "/etc/troupe/d.toml:2: head.slots must be an integer from 0 to 4096, not \"8\"");
  CHECK(refused("[join]\nslots = -1\n").find("not -1") != std::string::npos);
  CHECK(refused("[join]\nhead = \"h:1\"\nkey = 7\n") ==
        "/etc/troupe/d.toml:3: join.key must be a string, not 7");
  CHECK(refused("[head]\nlisten = \"\"\n") == "/etc/troupe/d.toml:2: head.listen is empty");
  CHECK(refused("[head]\ntrusted_verifiers = [1]\n").find("a list of strings") !=
        std::string::npos);
  CHECK(refused("listen = \"a:1\"\n") == "/etc/troupe/d.toml:1: listen belongs into [head]");
  CHECK(refused("home = \"a\"\n").find("belongs into [head] or [join]") != std::string::npos);
  CHECK(refused("head = 1\n").find("head must be a table, not 1") != std::string::npos);
  CHECK(refused("").find("neither a table [head] nor a table [join]") != std::string::npos);
  CHECK(refused("[join]\nslots = 1\n") ==
        "/etc/troupe/d.toml:1: [join] has no head = \"HOST:PORT\"");
  CHECK(refused("[head\n").rfind("/etc/troupe/d.toml:1: not TOML", 0) == 0);
  // A mistake in the other host's table is one, too.
  CHECK(refused(std::string(kHead) + "[join]\nkeys = 1\n", {.is_head = true})
            .find("unknown key join.keys; [join] has key") != std::string::npos);
}

TEST_CASE("daemon settings: the daemon takes the file, and flags win over it") {
  const tests::TempDir dir;
  const std::string file = dir.file("d.toml");
  const auto trouped = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"--config", file});
    return tests::Process({.arguments = words, .name = "trouped"}).wait();
  };
  const auto refused_as = [&](std::vector<std::string> words) {
    const auto ended = trouped(std::move(words));
    CHECK(ended.exit_code == 2);
    CHECK(std::count(ended.error.begin(), ended.error.end(), '\n') == 1);
    return ended.error;
  };
  CHECK(refused_as({}).find(file) != std::string::npos);  // It is not there.
  tests::write_text(file, "[head]\nhome = \"jobs\"\nslots = 0\nlistn = \"a\"\n");
  CHECK(refused_as({}) == "trouped: " + file +
                              ":4: unknown key head.listn; [head] has listen, slots, home, keys, "
                              "server, listen_nodes, dashboard, allow_paths, trusted_verifiers\n");
  tests::write_text(file, "[head]\nhome = \"jobs\"\nserver = \"door\"\nslots = 0\n");
  CHECK(refused_as({}).find("say --listen ADDR:PORT") != std::string::npos);
  CHECK(refused_as({"--slots", "9999"}).find("--slots 9999: at most 4096") != std::string::npos);
  tests::write_text(file, "[join]\nhead = \"nowhere\"\nkey = \"none.key\"\nhome = \"jobs\"\n");
  CHECK(refused_as({}).find("--join \"nowhere\" is no address") != std::string::npos);
  CHECK(refused_as({"--join", "127.0.0.1:1"}).find(dir.file("none.key")) != std::string::npos);
  CHECK(refused_as({"--slots", "0"}).find("is there to work") != std::string::npos);
  CHECK(refused_as({"--listen", "0.0.0.0:0"}).find("are of a head") != std::string::npos);

  tests::write_text(file, "[head]\nhome = \"jobs\"\nserver = \"door\"\nslots = 3\n");
  tests::Process daemon({.arguments = {"--config", file, "--slots", "5"}, .name = "trouped"});
  REQUIRE(daemon.says("serving " + dir.file("door") + ", jobs in " + dir.file("jobs")));
  const auto nodes = tests::troupe({"nodes", "--server", dir.file("door")});
  CHECK(nodes.out.find("    5") != std::string::npos);
  daemon.signal(SIGTERM);
  CHECK(daemon.wait().exit_code == 0);
}

}  // namespace
}  // namespace troupe::cluster
