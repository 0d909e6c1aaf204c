// What a user asks the daemon at its front door, and the answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "schemas/job.h"
#include "schemas/metrics.h"
#include "schemas/records.h"
#include "schemas/result.h"

namespace troupe {

inline constexpr size_t kControlBytesMax = 4 << 20;  // Of a request or a reply.
inline constexpr size_t kRequestIdBytesMax = 128;    //
inline constexpr uint32_t kControlListMax = 10'000;  // Jobs, lines or events in one reply.

// The same request id is the same job, however often it is sent.
struct SubmitJob {
  std::string request_id{};
  JobSpec job{};  // Paths are absolute.
};
struct ListJobs {
  uint64_t first_id = 0;  // From this id on.
};
struct ShowJob {
  uint64_t id = 0;
};
// Lines of the job's log from number `first_line` on.
struct JobLogs {
  uint64_t id = 0;
  uint64_t first_line = 0;
};
// What a viewer needs to begin: the events so far, thinned out. Later ones are published.
struct WatchJob {
  uint64_t id = 0;
  uint64_t first_sequence = 0;
};
struct CancelJob {
  uint64_t id = 0;
};
struct PauseJob {
  uint64_t id = 0;
};
struct ResumeJob {
  uint64_t id = 0;
};

// Who serves, and as whom it knows the one who asks.
struct ShowServer {};
// Over the network: events of this job come over this connection for kFollowSeconds, if it is one
// of the caller's. They have three frames: nothing, the topic, a RunEvent.
struct FollowJob {
  uint64_t id = 0;
};
inline constexpr int kFollowSeconds = 30;

using ControlRequest = std::variant<SubmitJob, ListJobs, ShowJob, JobLogs, WatchJob, CancelJob,
                                    PauseJob, ResumeJob, ShowServer, FollowJob>;

// Who asks, as the daemon knows it from the connection: no part of a message.
struct Asker {
  std::string name{};        // Of a user's key; empty: local_operator.
  bool is_operator = false;  // Sees and changes everybody's jobs; others only their own.

  bool may_see(const std::string& owner) const {
    return is_operator || (!name.empty() && owner == name);
  }
};
// Who may open the daemon's own sockets.
inline Asker local_operator() { return {.is_operator = true}; }

struct JobSummary {
  uint64_t id = 0;
  std::string name{};
  JobState state = JobState::kQueued;
  std::string message{};
  uint64_t steps_done = 0;
  uint64_t steps_total = 0;
  std::string home{};
  std::string weights_sha256{};
  double money = 0;
  std::string owner{};  // Name of the user's key; empty: who may open the daemon's own sockets.
};

struct ServerFacts {
  uint32_t protocol = 0;     // Of envelope.h.
  std::string name{};        // Of the key that the caller showed.
  bool is_operator = false;  // The caller sees and changes everybody's jobs.
};

struct ControlReply {
  std::optional<Error> error{};
  std::vector<JobSummary> jobs{};    // submit: the one; jobs; show and the three changes: the one.
  std::vector<std::string> lines{};  // logs
  std::vector<std::vector<std::byte>> events{};  // watch: encoded RunEvents.
  uint64_t next = 0;  // logs, watch: where to go on. jobs: the next first_id, 0 when complete.
  std::optional<ServerFacts> server{};  // ShowServer.
};

// ---- The feed: what MetricsSink is told, published under the topic "job/<id>/".

struct RunStarted {
  JobSpec job{};
  std::string weights_sha256{};
  int64_t num_parameters = 0;
};
struct Progressed {
  std::string activity{};
  int64_t done = 0;
  int64_t total = 0;
};
struct Evaluated {
  EvalMetrics metrics{};
  std::vector<Trace> traces{};
};
struct Noted {
  std::string line{};
};
struct RunEnded {
  Ledger ledger{};
  std::string state{};
  std::string weights_sha256{};
};

struct RunEvent {
  uint64_t job = 0;
  uint64_t sequence = 0;  // 1, 2, ... within a job and a run of the daemon.
  double seconds = 0;     // Since the job began to run, on the daemon's clock.
  std::variant<RunStarted, Progressed, StepMetrics, Evaluated, RunSample, Noted, RunEnded> what{};
};

}  // namespace troupe
