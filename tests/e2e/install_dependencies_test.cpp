// The install script on a machine that lacks a package, with apt-get, sudo and id replaced.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/temp_dir.h"

namespace troupe {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Machine {
  Machine() {
    std::filesystem::create_directory(dir.file("bin"));
    std::string script =
        text_of(std::string(TROUPE_SOURCE_DIR) + "/cluster/deploy/install_dependencies.sh");
    const std::string known = "  doctest-dev\n";
    REQUIRE(script.find(known) != std::string::npos);
    script.replace(script.find(known), known.size(), known + "  no-such-package-of-troupe\n");
    const std::string policy = "policy=/usr/sbin/policy-rc.d\n";
    REQUIRE(script.find(policy) != std::string::npos);
    script.replace(script.find(policy), policy.size(), "policy=" + dir.file("policy-rc.d") + "\n");
    std::ofstream(dir.file("install.sh")) << script;
    command("apt-get", "echo \"$@\" >> " + dir.file("asked"));
    command("sudo", "exit 1");
  }

  void command(const std::string& name, const std::string& body) {
    const std::string path = dir.file("bin/" + name);
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }

  int run() {
    const std::string line = "PATH=" + dir.file("bin") + ":$PATH bash " + dir.file("install.sh") +
                             " < /dev/null > " + dir.file("out") + " 2> " + dir.file("error");
    return WEXITSTATUS(std::system(line.c_str()));
  }

  tests::TempDir dir{};
};

TEST_CASE("install_dependencies: root installs what dpkg has never heard of") {
  Machine machine;
  machine.command("id", "echo 0");
  CHECK(machine.run() == 0);
  CHECK(text_of(machine.dir.file("asked")).find("no-such-package-of-troupe") != std::string::npos);
}

TEST_CASE("install_dependencies: without root or sudo the line to run is printed, exit code 2") {
  Machine machine;
  machine.command("id", "echo 1000");
  CHECK(machine.run() == 2);
  CHECK_FALSE(std::filesystem::exists(machine.dir.file("asked")));
  const std::string error = text_of(machine.dir.file("error"));
  CHECK(error.find("please run: sudo apt-get install") != std::string::npos);
  CHECK(error.find("no-such-package-of-troupe") != std::string::npos);
}

TEST_CASE("install_dependencies: services of what it installs are not started") {
  Machine machine;
  machine.command("id", "echo 0");
  machine.command("dpkg-query", "exit 1");  // Nothing is installed.
  const std::string policy = machine.dir.file("policy-rc.d");
  machine.command("apt-get", policy + "; echo $? >>" + machine.dir.file("policy_said"));
  CHECK(machine.run() == 0);
  // What Debian's scripts ask is answered as they read a no, for as long as it is asked.
  CHECK(text_of(machine.dir.file("policy_said")) == "101\n");
  CHECK_FALSE(std::filesystem::exists(policy));
  // An answer of the machine's own stays.
  std::ofstream(policy) << "#!/bin/sh\nexit 7\n";
  std::filesystem::permissions(policy, std::filesystem::perms::owner_all);
  CHECK(machine.run() == 0);
  CHECK(text_of(machine.dir.file("policy_said")) == "101\n7\n");
  CHECK(std::filesystem::exists(policy));
}

}  // namespace
}  // namespace troupe
