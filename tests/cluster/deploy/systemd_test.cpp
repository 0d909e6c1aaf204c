// The units that `troupe deploy systemd` prints.
#include <doctest/doctest.h>

#include <regex>

#include "tests/support/process.h"

namespace troupe {
namespace {

using tests::Ended;

std::string trouped() {
  return (std::filesystem::path(TROUPE_BINARY).parent_path() / "trouped").string();
}

TEST_CASE("deploy systemd: both units are right, as far as systemd itself can tell") {
  const tests::TempDir dir;
  for (const std::string kind : {"head", "node"}) {
    const Ended printed = tests::troupe({"deploy", "systemd", kind});
    REQUIRE(printed.exit_code == 0);
    const std::string& unit = printed.out;
    CHECK(unit.find("ExecStart=" + trouped() + " ") != std::string::npos);
    for (const char* line :
         {"\nType=notify\n", "\nWatchdogSec=30\n", "\nKillMode=mixed\n", "\nRestart=on-failure\n",
          "\nRestartPreventExitStatus=2\n", "\nDelegate=yes\n", "\nNoNewPrivileges=yes\n"}) {
      CHECK_MESSAGE(unit.find(line) != std::string::npos, line);
    }
    // Longer than the daemon takes to stop by itself.
    CHECK(unit.find(kind == "head" ? "\nTimeoutStopSec=330\n" : "\nTimeoutStopSec=150\n") !=
          std::string::npos);
    // With any of these the boxes of verifiers cannot be made.
    const std::regex refused(
        "\n(RestrictNamespaces|ProtectKernelTunables|ProtectKernelLogs|"
        "ProtectProc|ProcSubset|ProtectControlGroups|SystemCallFilter|"
        "PrivateDevices|PrivateUsers)=");
    CHECK_FALSE(std::regex_search(unit, refused));
    CHECK(unit.find('@') == std::string::npos);
    if (::access("/usr/bin/systemd-analyze", X_OK) != 0) {
      MESSAGE("systemd-analyze is not here: not verified");
      continue;
    }
    const std::string file = dir.file("troupe-" + kind + ".service");
    tests::write_text(file, unit);
    const std::string line = "systemd-analyze verify " + file + " >" + dir.file("said") + " 2>&1";
    CHECK(std::system(line.c_str()) == 0);
    // What it knows nothing of it says, and goes on.
    const std::string said = tests::contents(dir.file("said"));
    CHECK_MESSAGE(said.find("troupe-" + kind) == std::string::npos, said);
  }
}

TEST_CASE("deploy systemd: paths and users are the unit's, and what it cannot say is refused") {
  const Ended printed =
      tests::troupe({"deploy", "systemd", "head", "--home", "/srv/troupe", "--user", "ml",
                     "--config", "/etc/t.toml", "--program", "/opt/troupe/trouped"});
  CHECK(printed.exit_code == 0);
  CHECK(printed.out.find("ExecStart=/opt/troupe/trouped --head --config /etc/t.toml --home "
                         "/srv/troupe --server /run/troupe\n") != std::string::npos);
  CHECK(printed.out.find("\nReadWritePaths=/srv/troupe\n") != std::string::npos);
  CHECK(printed.out.find("\nUser=ml\n") != std::string::npos);
  const std::vector<std::vector<std::string>> wrong = {{"tail"},
                                                       {"head", "--home", "srv"},
                                                       {"head", "--config", "/a b"},
                                                       {"node", "--home", "/a%h"},
                                                       {"node", "--user", "a\nExecStart=/bin/x"}};
  for (std::vector<std::string> words : wrong) {
    words.insert(words.begin(), {"deploy", "systemd"});
    const Ended refused = tests::troupe(words);
    CHECK(refused.exit_code == 2);
    CHECK(refused.error.rfind("troupe deploy systemd: ", 0) == 0);
    CHECK(std::count(refused.error.begin(), refused.error.end(), '\n') == 1);
    CHECK(refused.out.empty());
  }
}

}  // namespace
}  // namespace troupe
