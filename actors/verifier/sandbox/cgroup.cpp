#include "actors/verifier/sandbox/cgroup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace troupe::actors::sandbox {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> words;
  std::istringstream stream(text);
  for (std::string word; std::getline(stream, word, separator);) words.push_back(word);
  return words;
}

bool names(const std::string& list, const std::string& word) {
  const auto words = split(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

struct Mount {
  std::string root{};   // The part of the hierarchy that is mounted.
  std::string point{};  // Where.
  std::string type{};
  std::string options{};  // Of the file system: version 1 names the controllers there.
};

std::vector<Mount> cgroup_mounts(const std::string& mounts) {
  std::vector<Mount> found;
  for (const std::string& line : split(mounts, '\n')) {
    const auto words = split(line, ' ');
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 6 || words.end() - dash < 4) continue;
    if (dash[1] != "cgroup" && dash[1] != "cgroup2") continue;
    found.push_back({words[3], words[4], dash[1], dash[3]});
  }
  return found;
}

// This process's path in the hierarchy of a controller; version 2's has none named.
std::string own_path(const std::string& own, const std::string& controller) {
  for (const std::string& line : split(own, '\n')) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool is_it = controller.empty() ? controllers.empty() : names(controllers, controller);
    if (is_it) return line.substr(second + 1);
  }
  return "/";
}

// In a container the mount shows only a part of the hierarchy, or the path is another's view.
std::string folder_of(const Mount& mount, std::string path) {
  if (mount.root != "/" && path.rfind(mount.root, 0) == 0) path.erase(0, mount.root.size());
  const std::string folder = mount.point + (path == "/" ? "" : path);
  struct stat status = {};
  return ::stat(folder.c_str(), &status) == 0 ? folder : mount.point;
}

CgroupHome::Part writable(const std::string& folder) {
  if (::access(folder.c_str(), W_OK) == 0) return {folder, ""};
  return {"", fmt::format("{}: {}", folder, std::strerror(errno))};
}

// Version 2 gives children controllers only from a group without processes of its own; where this
// process is alone in its group, it moves into a child.
CgroupHome::Part delegated(const std::string& folder, const std::string& controller) {
  const auto part = writable(folder);
  if (!part) return part;
  const std::string children = folder + "/cgroup.subtree_control";
  const auto has = [&controller](std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c == ' ' || c == '\n'; }, ',');
    return names(text, controller);
  };
  if (has(read_small(children))) return part;
  if (!has(read_small(folder + "/cgroup.controllers"))) {
    return {"", fmt::format("{} has no {} controller", folder, controller)};
  }
  if (write_small(children, "+" + controller)) return part;
  const std::string alone = fmt::format("{}\n", ::getpid());
  if (errno == EBUSY && read_small(folder + "/cgroup.procs") == alone) {
    const std::string leaf = folder + "/troupe-host";
    ::mkdir(leaf.c_str(), 0755);
    if (write_small(leaf + "/cgroup.procs", "0") && write_small(children, "+" + controller)) {
      return part;
    }
  }
  return {"", fmt::format("{}: {}: start troupe in a delegated group of its own, e.g. with "
                          "systemd-run --user --scope -p Delegate=yes",
                          children, std::strerror(errno))};
}

int64_t number_in(const std::string& text, const std::string& key) {
  size_t at = key.empty() ? 0 : text.find(key + " ");
  if (at == std::string::npos) return 0;
  if (!key.empty()) at += key.size() + 1;
  int64_t value = 0;
  std::from_chars(text.data() + at, text.data() + text.size(), value);
  return value;
}

Descriptor open_file(const std::string& path, int flags) {
  return Descriptor(::open(path.c_str(), flags | O_CLOEXEC));
}

std::vector<pid_t> pids_in(const std::string& text) {
  std::vector<pid_t> pids;
  for (const std::string& line : split(text, '\n')) {
    pids.push_back(static_cast<pid_t>(std::strtol(line.c_str(), nullptr, 10)));
  }
  return pids;
}

}  // namespace

CgroupHome find_cgroup_home(const std::string& mounts, const std::string& own) {
  CgroupHome home;
  const auto all = cgroup_mounts(mounts);
  const auto find = [&](const std::string& type, const std::string& controller) -> const Mount* {
    for (const Mount& mount : all) {
      if (mount.type == type && (controller.empty() || names(mount.options, controller))) {
        return &mount;
      }
    }
    return nullptr;
  };
  if (const Mount* memory = find("cgroup", "memory"); memory != nullptr) {
    home.version = 1;
    const auto part = [&](const std::string& controller) -> CgroupHome::Part {
      const Mount* mount = find("cgroup", controller);
      if (mount == nullptr) return {"", "no mounted " + controller + " controller"};
      return writable(folder_of(*mount, own_path(own, controller)));
    };
    home.memory = part("memory");
    home.processes = part("pids");
    home.cpu = part("cpuacct");
    return home;
  }
  const Mount* unified = find("cgroup2", "");
  if (unified == nullptr) {
    home.memory.reason = home.processes.reason = home.cpu.reason = "no control groups are mounted";
    return home;
  }
  home.version = 2;
  const std::string folder = folder_of(*unified, own_path(own, ""));
  home.memory = delegated(folder, "memory");
  home.processes = delegated(folder, "pids");
  // Every group counts its time, whatever its controllers.
  home.cpu = writable(folder);
  return home;
}

void remove_cgroup(const std::string& folder) {
  // The dead leave their group a moment after they were killed.
  for (int attempt = 0; attempt < 200; ++attempt) {
    if (::rmdir(folder.c_str()) == 0 || errno == ENOENT) return;
    for (const pid_t pid : pids_in(read_small(folder + "/cgroup.procs"))) {
      // A launcher's thread that is about to be gone shows as this whole process.
      if (pid > 0 && pid != ::getpid()) ::kill(pid, SIGKILL);
    }
    ::poll(nullptr, 0, 1);
  }
}

Status Cgroup::enter_folder(const std::string& folder) {
  if (std::find(folders_.begin(), folders_.end(), folder) != folders_.end()) return ok();
  remove_cgroup(folder);
  if (::mkdir(folder.c_str(), 0755) != 0) {
    return Error{.message = fmt::format("mkdir {}: {}", folder, std::strerror(errno))};
  }
  folders_.push_back(folder);
  if (version_ == 1) return ok();
  birth_folder_ = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (!birth_folder_) {
    return Error{.message = fmt::format("open {}: {}", folder, std::strerror(errno))};
  }
  return ok();
}

Result<Cgroup> Cgroup::make(const CgroupHome& home, const std::string& name) {
  Cgroup group;
  group.version_ = home.version;
  const bool is_first = home.version == 1;
  if (home.memory) {
    const std::string folder = home.memory.folder + "/" + name;
    if (auto entered = group.enter_folder(folder); !entered) return entered.error();
    const auto file = [&folder](const char* first) { return folder + "/" + first; };
    group.memory_max_ = open_file(file(is_first ? "memory.limit_in_bytes" : "memory.max"), O_RDWR);
    group.swap_max_ =
        open_file(file(is_first ? "memory.memsw.limit_in_bytes" : "memory.swap.max"), O_RDWR);
    group.memory_peak_ =
        open_file(file(is_first ? "memory.max_usage_in_bytes" : "memory.peak"), O_RDWR);
    if (!group.memory_peak_) group.memory_peak_ = open_file(file("memory.peak"), O_RDONLY);
    group.memory_events_ =
        open_file(file(is_first ? "memory.oom_control" : "memory.events"), O_RDONLY);
    if (!group.memory_max_ || !group.memory_events_) {
      return Error{.message = fmt::format("{} lacks its limit", folder)};
    }
    // All of a box dies for one of its processes.
    if (!is_first) write_small(file("memory.oom.group"), "1");
  }
  if (home.processes) {
    const std::string folder = home.processes.folder + "/" + name;
    if (auto entered = group.enter_folder(folder); !entered) return entered.error();
    group.processes_max_ = open_file(folder + "/pids.max", O_RDWR);
    group.processes_now_ = open_file(folder + "/pids.current", O_RDONLY);
  }
  if (home.cpu) {
    const std::string folder = home.cpu.folder + "/" + name;
    if (auto entered = group.enter_folder(folder); !entered) return entered.error();
    group.cpu_usage_ = open_file(folder + (is_first ? "/cpuacct.usage" : "/cpu.stat"), O_RDONLY);
  }
  return group;
}

std::vector<std::string> Cgroup::thread_entries() const {
  std::vector<std::string> files;
  if (version_ == 1) {
    for (const std::string& folder : folders_) files.push_back(folder + "/tasks");
  }
  return files;
}

Cgroup::~Cgroup() {
  for (const std::string& folder : folders_) remove_cgroup(folder);
}

Status Cgroup::prepare(int64_t memory_bytes, int32_t processes) {
  if (memory_max_ && memory_limit_ != memory_bytes) {
    memory_limit_ = -1;
    const std::string limit = std::to_string(memory_bytes);
    // Version 1 keeps memory + swap at or above memory at every moment.
    if (version_ == 1 && swap_max_) write_small(swap_max_.get(), "-1");
    // The kernel frees what the run before had in /tmp a moment after its last process is gone.
    bool is_set = write_small(memory_max_.get(), limit);
    for (int attempt = 0; !is_set && errno == EBUSY && attempt < 100; ++attempt) {
      ::poll(nullptr, 0, 2);
      is_set = write_small(memory_max_.get(), limit);
    }
    if (!is_set) {
      return Error{.message = fmt::format("memory limit {}: {}", limit, std::strerror(errno))};
    }
    if (swap_max_) write_small(swap_max_.get(), version_ == 1 ? limit : "0");
    memory_limit_ = memory_bytes;
  }
  if (processes_max_) {
    // The launcher's thread counts, and the dead until whoever inherited them has noticed.
    const int64_t left = number_in(read_small(processes_now_.get()), "");
    const std::string limit = std::to_string(processes + left);
    if (processes_limit_ != limit && !write_small(processes_max_.get(), limit)) {
      return Error{.message = fmt::format("process limit {}: {}", limit, std::strerror(errno))};
    }
    processes_limit_ = limit;
  }
  if (memory_peak_) write_small(memory_peak_.get(), "0");
  cpu_start_ = cpu_units();
  kills_start_ = memory_kills();
  return ok();
}

int64_t Cgroup::cpu_units() const {
  if (!cpu_usage_) return 0;
  return number_in(read_small(cpu_usage_.get()), version_ == 1 ? "" : "usage_usec");
}

double Cgroup::cpu_seconds() const {
  return static_cast<double>(cpu_units() - cpu_start_) / (version_ == 1 ? 1e9 : 1e6);
}

int64_t Cgroup::memory_kills() const {
  return memory_events_ ? number_in(read_small(memory_events_.get()), "oom_kill") : 0;
}

int64_t Cgroup::memory_peak_bytes() const {
  return memory_peak_ ? number_in(read_small(memory_peak_.get()), "") : 0;
}

bool Cgroup::ran_out_of_memory() const { return memory_kills() > kills_start_; }

}  // namespace troupe::actors::sandbox
