#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>

#include "actors/verifier/sandbox/engine.h"
#include "actors/verifier/sandbox/init/record.h"
#include "actors/verifier/sandbox/process_table.h"

namespace troupe::actors::sandbox {
namespace {

constexpr double kLongestWait = 0.2, kShortestWait = 0.002;  // Seconds between two looks.
constexpr int kLooksAtStates = 64;                           // Over the whole of the wall limit.
// A killed process 1 is dead in milliseconds; only a broken kernel or disk takes longer.
constexpr int kDeathMaxMs = 30000;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool has_ended(const Descriptor& process, int timeout_ms) {
  pollfd ready = {.fd = process.get(), .events = POLLIN, .revents = 0};
  int found = 0;
  do {
    found = ::poll(&ready, 1, timeout_ms);
  } while (found < 0 && errno == EINTR);
  return found > 0;
}

// One stream out of the box; bounded, whatever comes.
class Stream {
 public:
  Stream(Descriptor& file, std::string& kept, int64_t bytes_max, bool drops_rest)
      : file_(file),
        kept_(kept),
        bytes_max_(static_cast<size_t>(bytes_max)),
        drops_rest_(drops_rest) {}

  bool is_open() const { return static_cast<bool>(file_); }
  int number() const { return file_.get(); }
  bool is_over() const { return is_over_; }

  // At most a pipe's worth, so that a fast writer does not keep the reader from its clock.
  void read_some() {
    std::array<char, 16 << 10> buffer;
    for (int i = 0; i < 8 && file_ && !is_over_; ++i) {
      const ssize_t count = ::read(file_.get(), buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) return;
      if (count <= 0) return file_.close();
      const size_t room = bytes_max_ - kept_.size();
      kept_.append(buffer.data(), std::min(room, static_cast<size_t>(count)));
      if (static_cast<size_t>(count) > room && !drops_rest_) is_over_ = true;
    }
  }
  // After everything that could write is dead.
  void read_rest() {
    for (int i = 0; i < 64 && file_ && !is_over_; ++i) read_some();
  }

 private:
  Descriptor& file_;
  std::string& kept_;
  const size_t bytes_max_;
  const bool drops_rest_;
  bool is_over_ = false;
};

// What process 1 said; each record is one write, which a pipe keeps whole.
struct Story {
  bool has_started = false;
  std::optional<int> refusal{};  // Of execve().
  std::optional<int> status{};   // Of wait().
  double cpu_seconds = 0;
};

Story read_story(int file) {
  Story story;
  InitRecord record;
  while (::read(file, &record, sizeof record) == sizeof record) {
    if (record.kind == InitRecord::kStarted) story.has_started = true;
    if (record.kind == InitRecord::kRefused) story.refusal = record.value;
    if (record.kind == InitRecord::kEnded) {
      story.status = record.value;
      story.cpu_seconds = static_cast<double>(record.microseconds) / 1e6;
    }
  }
  return story;
}

class Follower {
 public:
  Follower(Running& running, const std::atomic<bool>& is_killed)
      : run_(running),
        is_killed_(is_killed),
        output_(run_.output, result_.output, run_.limits.output_bytes, /*drops_rest=*/false),
        report_(run_.report, result_.report, run_.limits.output_bytes, /*drops_rest=*/false),
        errors_(run_.errors, result_.errors, run_.limits.error_bytes, /*drops_rest=*/true) {}

  BoxResult follow() {
    while (!has_ended(run_.process, 0)) {
      if (const auto limit = crossed(); limit) {
        end_ = *limit;
        break;
      }
      wait_and_read();
    }
    result_.wall_seconds = seconds_since(run_.start);
    if (!bury()) return result_;
    for (Stream* stream : {&output_, &report_, &errors_}) stream->read_rest();
    story_ = read_story(run_.records.get());
    result_.cpu_seconds = std::max(cpu_seconds(), story_.cpu_seconds);
    if (run_.slot->cgroup) result_.memory_peak_bytes = run_.slot->cgroup->memory_peak_bytes();
    decide();
    return result_;
  }

  bool is_buried() const { return is_buried_; }

 private:
  double cpu_seconds() {
    const auto& cgroup = run_.slot->cgroup;
    if (cgroup && cgroup->counts_cpu()) return cgroup->cpu_seconds() - run_.cpu_at_start;
    double sum = 0;
    for (const ProcessRow& row : box_processes(run_.pid)) sum += row.cpu_seconds;
    cpu_seen_ = std::max(cpu_seen_, sum);
    return cpu_seen_;
  }

  bool is_out_of_memory() const {
    return run_.slot->cgroup && run_.slot->cgroup->ran_out_of_memory();
  }

  double next_state_look() const {
    return (looks_ + 1) *
           std::clamp(run_.limits.wall_seconds / kLooksAtStates, kShortestWait, kLongestWait);
  }

  // Counts the moments at which something in the box ran or waited for a processor. On a machine
  // with time to spare that takes as much processor time; where it did not get it, the machine was
  // short. A program that is awake just at those moments is told by the kernel's count of how long
  // it waited for a processor.
  void look_at_states(double wall) {
    if (wall < next_state_look()) return;
    ++looks_;
    const auto rows = box_processes(run_.pid);
    if (std::any_of(rows.begin(), rows.end(), [](const auto& row) { return row.is_runnable; })) {
      ++looks_runnable_;
    }
  }

  bool was_starved(double wall) {
    if (looks_ < 8 || looks_runnable_ * 10 < looks_ * 9 || cpu_seconds() >= 0.6 * wall) {
      return false;
    }
    double waited = 0;
    for (const ProcessRow& row : box_processes(run_.pid)) waited += row.waited_seconds;
    return waited >= 0.25 * wall;
  }

  std::optional<BoxEnd> crossed() {
    if (is_killed_) return BoxEnd::kKilled;
    if (output_.is_over() || report_.is_over()) return BoxEnd::kOutputLimit;
    if (is_out_of_memory()) return BoxEnd::kMemoryLimit;
    const double wall = seconds_since(run_.start);
    if (wall >= run_.limits.wall_seconds) {
      return was_starved(wall) ? BoxEnd::kStarved : BoxEnd::kWallLimit;
    }
    look_at_states(wall);
    if (wall >= next_cpu_look_) {
      const double left = run_.limits.cpu_seconds - cpu_seconds();
      if (left <= 0) return BoxEnd::kCpuLimit;
      // No sooner can all processors together use it up.
      const double fastest = std::min<double>(std::max(1U, std::thread::hardware_concurrency()),
                                              run_.limits.processes);
      next_cpu_look_ = wall + std::clamp(left / fastest, kShortestWait, kLongestWait);
    }
    return std::nullopt;
  }

  void wait_and_read() {
    std::vector<pollfd> ready = {{.fd = run_.process.get(), .events = POLLIN, .revents = 0}};
    for (Stream* stream : {&output_, &report_, &errors_}) {
      if (stream->is_open()) {
        ready.push_back({.fd = stream->number(), .events = POLLIN, .revents = 0});
      }
    }
    const double wall = seconds_since(run_.start);
    const double until = std::min({next_cpu_look_, next_state_look(), run_.limits.wall_seconds});
    const double wait = std::clamp(until - wall, kShortestWait / 2, kLongestWait);
    ::poll(ready.data(), ready.size(), static_cast<int>(wait * 1000) + 1);
    for (Stream* stream : {&output_, &report_, &errors_}) stream->read_some();
  }

  // Returns when the last process of the box is dead; false if it would not die.
  bool bury() {
    kill_process(run_.process);
    is_buried_ = has_ended(run_.process, kDeathMaxMs);
    if (!is_buried_) {
      result_.end = BoxEnd::kFailed;
      result_.reason = "the box was killed and did not die";
      return false;
    }
    siginfo_t ended = {};
    ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(run_.process.get()), &ended,
             WEXITED);
    return true;
  }

  void decide() {
    const BoxLimits& limits = run_.limits;
    if (is_out_of_memory()) {
      end_as(BoxEnd::kMemoryLimit,
             fmt::format("more than {} bytes of memory", limits.memory_bytes));
    } else if (end_ == BoxEnd::kKilled) {
      end_as(BoxEnd::kKilled, "killed by its owner");
    } else if (end_ == BoxEnd::kOutputLimit || output_.is_over() || report_.is_over()) {
      end_as(BoxEnd::kOutputLimit,
             fmt::format("more than {} bytes of output", limits.output_bytes));
    } else if (end_ == BoxEnd::kCpuLimit || result_.cpu_seconds >= limits.cpu_seconds) {
      end_as(BoxEnd::kCpuLimit,
             fmt::format("more than {} s of processor time", limits.cpu_seconds));
    } else if (end_ == BoxEnd::kWallLimit) {
      end_as(BoxEnd::kWallLimit, fmt::format("slept or waited past {} s", limits.wall_seconds));
    } else if (end_ == BoxEnd::kStarved) {
      end_as(BoxEnd::kStarved,
             fmt::format("got {:.2f} s of processor time in {} s without sleeping",
                         result_.cpu_seconds, limits.wall_seconds));
    } else if (story_.refusal) {
      // Where the program's own bytes are the reason, that is its end and not the machine's: a
      // compiler's output, for one, is whatever a hostile program made of it.
      const bool is_its_own = run_.argv0.rfind("/box/", 0) == 0;
      if (is_its_own) result_.exit_status = 127;
      end_as(is_its_own ? BoxEnd::kExited : BoxEnd::kFailed,
             fmt::format("{} cannot be executed: {}", run_.argv0, std::strerror(*story_.refusal)));
    } else if (story_.status) {
      decide_ended(*story_.status);
    } else if (is_killed_) {
      end_as(BoxEnd::kKilled, "killed by its owner");
    } else if (story_.has_started) {
      // Nothing in the box can end process 1; what can, outside, aims at the program.
      result_.signal = SIGKILL;
      end_as(BoxEnd::kSignalled, "ended from outside");
    } else {
      end_as(BoxEnd::kFailed, fmt::format("the box could not be made: {}", result_.errors));
    }
  }

  void decide_ended(int status) {
    if (WIFEXITED(status)) {
      result_.exit_status = WEXITSTATUS(status);
      return end_as(BoxEnd::kExited, fmt::format("exited with {}", result_.exit_status));
    }
    result_.signal = WTERMSIG(status);
    end_as(result_.signal == SIGXCPU ? BoxEnd::kCpuLimit : BoxEnd::kSignalled,
           fmt::format("ended by signal {}", result_.signal));
  }

  void end_as(BoxEnd end, std::string reason) {
    result_.end = end;
    result_.reason = std::move(reason);
  }

  Running& run_;
  const std::atomic<bool>& is_killed_;
  BoxResult result_;
  Stream output_, report_, errors_;
  std::optional<BoxEnd> end_;
  Story story_;
  double next_cpu_look_ = 0;
  double cpu_seen_ = 0;
  int looks_ = 0, looks_runnable_ = 0;
  bool is_buried_ = false;
};

}  // namespace

BoxResult follow(Running& running, const std::shared_ptr<Engine>& engine,
                 const std::atomic<bool>& is_killed) {
  Follower follower(running, is_killed);
  BoxResult result = follower.follow();
  // A box that lives keeps its user: no other run may meet it.
  if (follower.is_buried()) {
    engine->release(std::move(running.slot));
  } else {
    static_cast<void>(running.slot.release());
  }
  return result;
}

}  // namespace troupe::actors::sandbox
