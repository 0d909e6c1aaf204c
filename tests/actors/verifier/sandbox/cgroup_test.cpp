// Where boxes' control groups go, for each version of the kernel's interface and for none.
#include "actors/verifier/sandbox/cgroup.h"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "actors/verifier/sandbox/launcher.h"
#include "actors/verifier/sandbox/system_call_filter.h"
#include "tests/support/temp_dir.h"

namespace troupe::actors::sandbox {
namespace {

namespace fs = std::filesystem;

std::string mount_line(const std::string& root, const std::string& point, const std::string& type,
                       const std::string& options) {
  return "40 30 0:35 " + root + " " + point + " rw,relatime shared:9 - " + type + " none " +
         options + "\n";
}

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST_CASE("cgroup: version 1 groups go below this process's own, for each controller") {
  const tests::TempDir dir;
  const std::string memory = dir.file("memory"), pids = dir.file("pids"), cpu = dir.file("cpu");
  fs::create_directories(memory + "/docker/abc");
  fs::create_directories(pids);
  fs::create_directories(cpu);
  const CgroupHome home = find_cgroup_home(
      mount_line("/", memory, "cgroup", "rw,memory") + mount_line("/", pids, "cgroup", "rw,pids") +
          mount_line("/", cpu, "cgroup", "rw,cpu,cpuacct"),
      "4:memory:/docker/abc\n3:pids:/elsewhere\n2:cpu,cpuacct:/\n0::/\n");
  CHECK(home.version == 1);
  CHECK(home.memory.folder == memory + "/docker/abc");
  CHECK(home.processes.folder == pids);  // The path is another namespace's view.
  CHECK(home.cpu.folder == cpu);
}

TEST_CASE("cgroup: a container's mount shows its own part as the root") {
  const tests::TempDir dir;
  const std::string memory = dir.file("memory");
  fs::create_directories(memory + "/inner");
  const CgroupHome home = find_cgroup_home(mount_line("/docker/abc", memory, "cgroup", "rw,memory"),
                                           "4:memory:/docker/abc/inner\n");
  CHECK(home.memory.folder == memory + "/inner");
  CHECK(!home.processes);
  CHECK(home.processes.reason.find("pids") != std::string::npos);
}

TEST_CASE("cgroup: version 2 needs its controllers delegated") {
  const tests::TempDir dir;
  const std::string folder = dir.file("unified/job");
  fs::create_directories(folder);
  write(folder + "/cgroup.controllers", "cpu memory pids\n");
  write(folder + "/cgroup.subtree_control", "memory pids\n");
  const std::string mounts = mount_line("/", dir.file("unified"), "cgroup2", "rw,nsdelegate");
  const CgroupHome home = find_cgroup_home(mounts, "0::/job\n");
  CHECK(home.version == 2);
  CHECK(home.memory.folder == folder);
  CHECK(home.processes.folder == folder);
  CHECK(home.cpu.folder == folder);
  write(folder + "/cgroup.controllers", "cpu\n");
  write(folder + "/cgroup.subtree_control", "\n");
  const CgroupHome bare = find_cgroup_home(mounts, "0::/job\n");
  CHECK(!bare.memory);
  CHECK(bare.memory.reason.find("memory") != std::string::npos);
  CHECK(bare.cpu);
}

TEST_CASE("cgroup: without any the reason is said") {
  const CgroupHome home = find_cgroup_home("30 1 8:1 / / rw - ext4 /dev/sda rw\n", "");
  CHECK(home.version == 0);
  CHECK(!home.memory);
  CHECK(!home.memory.reason.empty());
}

// As much of version 2 as a machine shows whose controllers version 1 holds.
TEST_CASE("cgroup: a version 2 group counts the time of what enters it, and goes away") {
  std::ifstream mounts("/proc/self/mountinfo"), own("/proc/self/cgroup");
  std::string unified, paths;
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(" - cgroup2 ") != std::string::npos) unified += line + "\n";
  }
  for (std::string line; std::getline(own, line);) paths += line + "\n";
  CgroupHome home = find_cgroup_home(unified, paths);
  if (!home.cpu) return;  // No right to make groups here.
  home.memory = home.processes = {};
  const std::string folder = home.cpu.folder + "/troupe-cgroup-test";
  {
    auto group = Cgroup::make(home, "troupe-cgroup-test");
    REQUIRE_MESSAGE(group, group.error().message);
    REQUIRE(group->prepare(1 << 20, 4));
    CHECK(group->thread_entries().empty());
    auto launcher = Launcher::create({});
    REQUIRE(launcher);
    const auto root = toolchain_root("python");
    const auto filter = system_call_filter();
    REQUIRE(root);
    REQUIRE(filter);
    const auto launched = (*launcher)->launch(
        {.argv = {"/usr/bin/python3", "-I", "-S", "-c", "for i in range(2000000): pass"},
         .descriptors = {0, 1, 2},
         .root = &*root,
         .temporary = "size=1m",
         .filter = *filter,
         .box_processes = 1,
         .cgroup_folder = group->birth_folder()});
    REQUIRE_MESSAGE(launched, launched.error().message);
    int status = 0;
    REQUIRE(::waitpid(launched->pid, &status, 0) == launched->pid);
    CHECK(status == 0);
    CHECK(group->cpu_seconds() > 0.02);
    REQUIRE(group->prepare(1 << 20, 4));
    CHECK(group->cpu_seconds() < 0.02);
  }
  CHECK(!fs::exists(folder));
}

}  // namespace
}  // namespace troupe::actors::sandbox
