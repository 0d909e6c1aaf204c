// The host around a box: secrets that no program in it may see, and what the host looks like, to be
// compared before and after.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "actors/verifier/sandbox/slot.h"
#include "tests/support/temp_dir.h"

namespace troupe::actors::tests {

namespace fs = std::filesystem;

inline std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// A file, an environment variable, a descriptor that is not closed on exec, a loopback socket and
// an abstract one; all hold, or are named by, kValue.
class Canaries {
 public:
  static constexpr char kValue[] = "canary-value-5f2d9c";

  Canaries() : abstract_("troupe-canary-" + std::to_string(::getpid())) {
    std::ofstream(file()) << kValue;
    ::setenv("TROUPE_CANARY", kValue, 1);
    const int opened = ::open(file().c_str(), O_RDONLY);
    descriptor_ = ::fcntl(opened, F_DUPFD, 200);
    ::close(opened);
    REQUIRE(descriptor_ >= 200);
    tcp_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in loopback = {};
    loopback.sin_family = AF_INET;
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof loopback;
    REQUIRE(::bind(tcp_, reinterpret_cast<sockaddr*>(&loopback), size) == 0);
    REQUIRE(::listen(tcp_, 4) == 0);
    ::getsockname(tcp_, reinterpret_cast<sockaddr*>(&loopback), &size);
    port_ = ntohs(loopback.sin_port);
    unix_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name = {};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path + 1, abstract_.data(), abstract_.size());
    const size_t bytes = offsetof(sockaddr_un, sun_path) + 1 + abstract_.size();
    REQUIRE(::bind(unix_, reinterpret_cast<sockaddr*>(&name), static_cast<socklen_t>(bytes)) == 0);
    REQUIRE(::listen(unix_, 4) == 0);
  }
  ~Canaries() {
    ::unsetenv("TROUPE_CANARY");
    for (const int number : {descriptor_, tcp_, unix_}) ::close(number);
  }
  Canaries(const Canaries&) = delete;
  Canaries& operator=(const Canaries&) = delete;

  std::string file() const { return dir_.file("secret"); }
  // What an attack is told of them.
  std::vector<std::string> arguments() const {
    return {std::to_string(port_), abstract_, file(), std::to_string(::getpid())};
  }

 private:
  const troupe::tests::TempDir dir_;
  const std::string abstract_;
  int descriptor_ = -1, tcp_ = -1, unix_ = -1, port_ = 0;
};

// Numbers of the slots that this process leases, from the kernel's table of sockets.
inline std::set<int> own_slots() {
  std::set<std::string> inodes;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const std::string target = fs::read_symlink(entry.path(), error).string();
    if (target.rfind("socket:[", 0) == 0) inodes.insert(target.substr(8, target.size() - 9));
  }
  std::set<int> slots;
  std::istringstream lines(text_of("/proc/net/unix"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::vector<std::string> all;
    for (std::string word; words >> word;) all.push_back(word);
    if (all.size() != 8 || inodes.count(all[6]) == 0) continue;
    if (all[7].rfind("@troupe-box-", 0) == 0) {
      slots.insert(std::stoi(all[7].substr(all[7].rfind('-') + 1)));
    }
  }
  return slots;
}

// Everything that an escape or a leak would change. Other programs of the host run meanwhile, so
// that only what is ours is counted: our slots' users and groups, our own descriptors and memory,
// files with the name that every attack uses.
struct HostState {
  // Of the slots' users, and children of this process. Those of a process that was killed may still
  // be dead and not buried; what a box leaves would be new.
  std::set<std::string> processes{};
  int in_groups = 0;
  int attack_files = 0;
  std::string mounts{};
  int descriptors = 0;
  int64_t resident_kib = 0;
};

inline HostState look_at_host() {
  HostState state;
  std::set<std::string> users;
  const bool is_root = ::geteuid() == 0;
  for (const int slot : is_root ? own_slots() : std::set<int>()) {
    users.insert(std::to_string(sandbox::kFirstUid + static_cast<uid_t>(slot)));
  }
  const std::string self = std::to_string(::getpid());
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::istringstream lines(text_of(entry.path() / "status"));
    bool is_ours = false;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string key, value;
      words >> key >> value;
      if (key == "PPid:" && value == self) is_ours = true;
      if (key == "Uid:" && users.count(value) > 0) is_ours = true;
    }
    if (is_ours) state.processes.insert(name);
  }
  for (const char* folder : {"/tmp", "/dev/shm"}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().filename().string().rfind("troupe-attack", 0) == 0) ++state.attack_files;
    }
  }
  state.mounts = text_of("/proc/self/mountinfo");
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    static_cast<void>(entry);
    ++state.descriptors;
  }
  const auto home =
      sandbox::find_cgroup_home(text_of("/proc/self/mountinfo"), text_of("/proc/self/cgroup"));
  if (home.memory) {
    for (const int slot : own_slots()) {
      const std::string group = home.memory.folder + "/troupe-box-" + std::to_string(::geteuid()) +
                                "-" + std::to_string(slot);
      const std::string members = text_of(group + "/cgroup.procs");
      state.in_groups += static_cast<int>(std::count(members.begin(), members.end(), '\n'));
    }
  }
  std::istringstream status(text_of("/proc/self/status"));
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) state.resident_kib = std::stoll(line.substr(6));
  }
  return state;
}

inline void check_same(const HostState& before, const HostState& after) {
  std::vector<std::string> left;
  std::set_difference(after.processes.begin(), after.processes.end(), before.processes.begin(),
                      before.processes.end(), std::back_inserter(left));
  CHECK(left.empty());
  CHECK(after.in_groups == before.in_groups);
  CHECK(after.attack_files == before.attack_files);
  CHECK(after.mounts == before.mounts);
  CHECK(after.descriptors == before.descriptors);
  // Allocators keep some of what they once had.
  CHECK(after.resident_kib < before.resident_kib + (64 << 10));
}

}  // namespace troupe::actors::tests
