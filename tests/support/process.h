// The real program in a process of its own: arguments, environment and input in; exit code,
// standard output and standard error, apart, out.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/temp_dir.h"

namespace troupe::tests {

inline std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

struct Invocation {
  std::vector<std::string> arguments{};
  std::vector<std::pair<std::string, std::string>> environment{};  // Added to ours.
  std::string input{};                                             // Standard input.
  std::string folder{};  // Working directory; empty: ours.
  std::string name{};    // What the program is called, where it listens to that; empty: its path.
  rlim_t descriptors_max = 0;  // It may have so many open; 0: as many as we.
};

struct Ended {
  int exit_code = -1;  // -1: by a signal.
  std::string out{};
  std::string error{};
};

class Process {
 public:
  explicit Process(const Invocation& invocation) {
    write_text(files_.file("in"), invocation.input);
    std::vector<char*> argv;
    std::vector<std::string> words = {invocation.name.empty() ? TROUPE_BINARY : invocation.name};
    words.insert(words.end(), invocation.arguments.begin(), invocation.arguments.end());
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    int ends[2] = {};
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ > 0) {
      ::close(ends[1]);
      error_pipe_ = ends[0];
      return;
    }
    redirect(files_.file("in"), O_RDONLY, 0);
    redirect(files_.file("out"), O_WRONLY | O_CREAT, 1);
    if (::dup2(ends[1], 2) < 0) ::_exit(125);
    if (!invocation.folder.empty() && ::chdir(invocation.folder.c_str()) != 0) ::_exit(126);
    const rlimit descriptors{invocation.descriptors_max, invocation.descriptors_max};
    if (invocation.descriptors_max > 0 && ::setrlimit(RLIMIT_NOFILE, &descriptors) != 0) {
      ::_exit(124);
    }
    for (const auto& [name, value] : invocation.environment) {
      ::setenv(name.c_str(), value.c_str(), 1);
    }
    ::execv(TROUPE_BINARY, argv.data());
    ::_exit(127);
  }
  ~Process() {
    ::close(error_pipe_);
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void signal(int number) const { ::kill(pid_, number); }
  pid_t pid() const { return pid_; }

  // Listens to standard error for as long as `patience` or until something was said; false once the
  // process has ended. It is how a test lets time pass.
  bool hears(std::chrono::milliseconds patience) {
    pollfd polled{error_pipe_, POLLIN, 0};
    const int ready = ::poll(&polled, 1, static_cast<int>(patience.count()));
    return ready == 0 || read_error();
  }

  // Waits until `holds()`; false when the process ended before or `patience` is over.
  template <class Condition>
  bool waits_for(Condition holds, std::chrono::milliseconds patience) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + patience;
    while (!holds()) {
      if (Clock::now() >= end || !hears(std::chrono::milliseconds(5))) return false;
    }
    return true;
  }

  // What it has said so far.
  const std::string& error() const { return error_; }

  // Waits until standard error contains `text`; false when the process ended before.
  bool says(const std::string& text) {
    while (error_.find(text) == std::string::npos) {
      if (!read_error()) return false;
    }
    return true;
  }

  Ended wait() {
    while (read_error()) {
    }
    if (pid_ > 0) REQUIRE(::waitpid(pid_, &status_, 0) == pid_);
    pid_ = 0;
    return {WIFEXITED(status_) ? WEXITSTATUS(status_) : -1, contents(files_.file("out")), error_};
  }

 private:
  static void redirect(const std::string& path, int flags, int to) {
    const int file = ::open(path.c_str(), flags, 0600);
    if (file < 0 || ::dup2(file, to) < 0) ::_exit(125);
  }

  bool read_error() {
    char buffer[4096];
    const ssize_t size = ::read(error_pipe_, buffer, sizeof(buffer));
    if (size > 0) error_.append(buffer, static_cast<size_t>(size));
    return size > 0;
  }

  TempDir files_{};
  std::string error_{};
  int error_pipe_ = -1;
  pid_t pid_ = -1;
  int status_ = 0;
};

inline Ended troupe(const Invocation& invocation) { return Process(invocation).wait(); }
inline Ended troupe(const std::vector<std::string>& arguments) {
  return troupe(Invocation{.arguments = arguments});
}

// Every path under `folder`, so that a test can say that nothing was left behind.
inline std::vector<std::string> tree(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace troupe::tests
