#include "actors/verifier/sandbox/process_table.h"

#include <dirent.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

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

// `table` is a /proc.
std::optional<ProcessRow> process_row(const std::string& table, pid_t pid) {
  const std::string folder = fmt::format("{}/{}", table, pid);
  const std::string rest = after_name(read_small(folder + "/stat"));
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
  return ProcessRow{pid, parent, ticks / ticks_per_second, state == 'R'};
}

void look_at_threads(const std::string& table, ProcessRow& row) {
  const std::string tasks = fmt::format("{}/{}/task", table, row.pid);
  for (const pid_t thread : numbers_in(tasks)) {
    const std::string rest = after_name(read_small(fmt::format("{}/{}/stat", tasks, thread)));
    if (!rest.empty() && rest[0] == 'R') row.is_runnable = true;
    // Nanoseconds on a processor, and waiting for one.
    const std::string times = read_small(fmt::format("{}/{}/schedstat", tasks, thread));
    unsigned long long ran = 0, waited = 0;
    if (std::sscanf(times.c_str(), "%llu %llu", &ran, &waited) == 2) {
      row.waited_seconds += static_cast<double>(waited) * 1e-9;
    }
  }
}

}  // namespace

std::vector<ProcessRow> box_processes(pid_t inside) {
  const std::string own = fmt::format("/proc/{}/root/proc", inside);
  const bool is_permitted = ::access((own + "/1").c_str(), F_OK) == 0;
  const std::string table = is_permitted ? own : "/proc";
  std::vector<ProcessRow> all, tree;
  for (const pid_t pid : numbers_in(table)) {
    if (const auto row = process_row(table, pid); row) {
      if (is_permitted || pid == inside) {
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
  for (ProcessRow& row : tree) look_at_threads(table, row);
  return tree;
}

}  // namespace troupe::actors::sandbox
