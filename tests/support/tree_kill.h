// A run ended by a SIGKILL to its head, with or without those who would wait for the next one, and
// gone on with until it is done.
#pragma once

#include <poll.h>

#include <chrono>
#include <functional>

#include "tests/support/folder_watch.h"
#include "tests/support/killed_run.h"

namespace troupe::tests {

// Waits until it holds; false when that takes longer.
template <class Condition>
bool comes_true(Condition holds, std::chrono::milliseconds patience) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + patience;
  while (!holds()) {
    if (Clock::now() >= end) return false;
    ::poll(nullptr, 0, 5);
  }
  return true;
}

// The head is killed; its learner, in slot 0, which nobody kills, must be gone soon after it.
inline Ended kill_head(Process& run, const std::string& home) {
  run.signal(SIGKILL);
  const Ended ended = run.wait();
  CHECK(comes_true([&] { return workers_of(home).count(0) == 0; }, std::chrono::seconds(2)));
  return ended;
}

// And those who wait for the next head.
inline Ended kill_tree(Process& run, const std::string& home) {
  const Ended ended = kill_head(run, home);
  for (const auto& [slot, pid] : workers_of(home)) ::kill(pid, SIGKILL);
  CHECK(comes_true([&] { return workers_of(home).empty(); }, std::chrono::seconds(2)));
  return ended;
}

// Waits for the moment of a kill; what the run does until then is its own business.
using Moment = std::function<void(Process& run, const std::string& home)>;

inline Moment after(std::chrono::milliseconds time) {
  return [time](Process& run, const std::string&) {
    static_cast<void>(run.waits_for([] { return false; }, time));
  };
}

// When so many lines of metrics are there, and a little later: a time would miss a run that is
// faster than the one it was taken from.
inline Moment behind_lines(size_t lines, std::chrono::milliseconds later) {
  return [lines, later](Process& run, const std::string& home) {
    static_cast<void>(run.waits_for([&] { return lines_in(home + "/metrics.jsonl") >= lines; },
                                    std::chrono::seconds(60)));
    static_cast<void>(run.waits_for([] { return false; }, later));
  };
}

// Just when a recovery point begins to be written (IN_CREATE), or has got its name (IN_MOVED_TO).
inline Moment at_point(uint32_t event, std::chrono::milliseconds later = {}) {
  return [event, later](Process& run, const std::string& home) {
    const std::string folder = home + "/checkpoints";
    const auto patience = std::chrono::seconds(60);
    if (!run.waits_for([&] { return std::filesystem::exists(folder); }, patience)) return;
    const FolderWatch watch(folder, event);
    // A run whose last point is written already ends.
    static_cast<void>(
        run.waits_for([&] { return watch.sees_one(std::chrono::milliseconds(20)); }, patience));
    if (later.count() > 0) ::poll(nullptr, 0, static_cast<int>(later.count()));
  };
}

struct Survived {
  nlohmann::json result{};
  size_t kills = 0;  // That hit a living run.
};

// Runs the job, killed at one moment after the other and resumed, until it is finished. Every
// second kill leaves those alive who wait for the next head, beginning with the first when
// `spares`.
inline Survived survive(const Invocation& job, const std::string& home,
                        const std::vector<Moment>& moments, bool spares = true) {
  Survived survived;
  bool resumes = false;
  for (size_t i = 0; i <= moments.size();) {
    Process run(resumes ? resumed(job) : job);
    if (i < moments.size()) moments[i](run, home);
    const auto kill = (i % 2 == 0) == spares ? kill_head : kill_tree;
    const Ended ended = i < moments.size() ? kill(run, home) : run.wait();
    if (resumes && ended.exit_code == 2 &&
        ended.error.find("holds no job to go on with") != std::string::npos) {
      resumes = false;  // It was killed before there was anything to go on with.
      continue;
    }
    if (ended.exit_code != -1) {
      survived.result = result_of(ended);
      return survived;
    }
    resumes = true;
    ++survived.kills;
    ++i;
  }
  return survived;
}

}  // namespace troupe::tests
