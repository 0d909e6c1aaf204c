#include "actors/verifier/sandbox/process_table.h"

#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "actors/verifier/sandbox/descriptor.h"

namespace troupe::actors::sandbox {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

// The entries of a folder of /proc that are numbers.
std::vector<pid_t> numbers_in(const std::string& path) {
  std::vector<pid_t> numbers;
  const std::unique_ptr<DIR, CloseFolder> folder(::opendir(path.c_str()));
  if (folder == nullptr) return numbers;
  while (const dirent* entry = ::readdir(folder.get())) {
    const long number = std::strtol(entry->d_name, nullptr, 10);
    if (number > 0) numbers.push_back(static_cast<pid_t>(number));
  }
  return numbers;
}

// What follows the program's name, which may contain anything, in a stat file.
std::string after_name(const std::string& stat) {
  const size_t end = stat.rfind(')');
  return end == std::string::npos || end + 2 >= stat.size() ? "" : stat.substr(end + 2);
}

}  // namespace

std::optional<ProcessRow> process_row(pid_t pid) {
  const std::string rest = after_name(read_small(fmt::format("/proc/{}/stat", pid)));
  char state = 0;
  int parent = 0;
  unsigned long user = 0, system = 0;
  long waited_user = 0, waited_system = 0;
  // proc(5): fields 3, 4, and 14 to 17.
  if (std::sscanf(rest.c_str(), "%c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld", &state,
                  &parent, &user, &system, &waited_user, &waited_system) != 6) {
    return std::nullopt;
  }
  static const auto ticks_per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  const double ticks = static_cast<double>(user + system) + static_cast<double>(waited_user) +
                       static_cast<double>(waited_system);
  return ProcessRow{pid, parent, ticks / ticks_per_second};
}

std::vector<ProcessRow> process_tree(pid_t root) {
  std::vector<ProcessRow> all, tree;
  for (const pid_t pid : numbers_in("/proc")) {
    if (const auto row = process_row(pid); row) {
      if (pid == root) {
        tree.push_back(*row);
      } else {
        all.push_back(*row);
      }
    }
  }
  for (size_t i = 0; i < tree.size(); ++i) {  // Grows while it is read.
    const pid_t parent = tree[i].pid;
    for (const ProcessRow& row : all) {
      if (row.parent == parent) tree.push_back(row);
    }
  }
  return tree;
}

bool is_runnable(pid_t pid) {
  for (const pid_t thread : numbers_in(fmt::format("/proc/{}/task", pid))) {
    const std::string rest =
        after_name(read_small(fmt::format("/proc/{}/task/{}/stat", pid, thread)));
    if (!rest.empty() && rest[0] == 'R') return true;
  }
  return false;
}

}  // namespace troupe::actors::sandbox
