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
#include "schemas/node.h"
#include "schemas/records.h"
#include "schemas/result.h"

namespace troupe {

inline constexpr size_t kControlBytesMax = 4 << 20;   // Of a request or a reply.
inline constexpr size_t kRequestIdBytesMax = 128;     //
inline constexpr uint32_t kControlListMax = 10'000;   // Jobs, lines, events or hosts in one reply.
inline constexpr size_t kContentBytesMax = 64 << 20;  // Of a file that travels with a job ...
inline constexpr size_t kContentPartBytesMax = 1 << 20;  // ... in parts of at most so much.

// The same request id is the same job, however often it is sent.
struct SubmitJob {
  std::string request_id{};
  // Paths are absolute and the daemon's, or say which of the caller's own files is meant, as
  // "sha256:DIGEST/NAME"; those are sent before.
  JobSpec job{};
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
// Where a job runs, or why it does not.
struct WhyJob {
  uint64_t id = 0;
};
// Hosts, and what runs there.
struct ListHosts {};
// Operators only. The host is asked how it is; its link and one of its cores are tried, for about a
// second.
struct ExamineHost {
  std::string host{};
};
// Operators only. Nothing new goes to the host, and what is there goes elsewhere.
struct DrainHost {
  std::string host{};
};
struct UndrainHost {
  std::string host{};
};

// A file of the caller's own, by what is in it.
struct ContentFile {
  std::string sha256{};  // 64 lower-case hexadecimal digits.
  std::string name{};    // Without folders.
  uint64_t bytes = 0;    // At most kContentBytesMax.
};
// Which of these files has the daemon not got from the caller?
struct OfferContent {
  std::vector<ContentFile> files{};
};
// The next part of a file, in order of offsets. The answer to the one that makes the file whole
// comes once the file is durable and has the digest that was said.
struct SendContent {
  ContentFile file{};
  uint64_t offset = 0;
  std::vector<std::byte> bytes{};
};

using ControlRequest = std::variant<SubmitJob, ListJobs, ShowJob, JobLogs, WatchJob, CancelJob,
                                    PauseJob, ResumeJob, ShowServer, FollowJob, WhyJob, ListHosts,
                                    DrainHost, UndrainHost, OfferContent, SendContent, ExamineHost>;

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

// Processes of a job on a host.
struct HostTenant {
  uint64_t job = 0;
  uint32_t learner = 0;  // Ranks, which may generate as well.
  uint32_t rollout = 0;  // That do not learn.
  uint32_t lent = 0;     // Of these, what is taken back when somebody waits for it.
  uint32_t verifier = 0;
};
struct HostSummary {
  std::string name{};
  std::string state{};      // "up", "away" or "drained"
  double away_seconds = 0;  // Since when nothing is heard of it.
  uint32_t slots = 0;       // Workers with a device at a time.
  uint32_t used = 0;        // By what jobs require; those of an elastic host may be more.
  uint32_t lent = 0;
  bool is_elastic = false;            // Takes any one job while it is empty.
  std::vector<HostTenant> tenants{};  // Whose jobs the caller may see.
  uint64_t disk_free_bytes = 0;       // Of its home's file system, when it was last heard.
};

// How a host is, and its link to the head. Of the head itself the link is nothing.
struct HostReport {
  HostSummary summary{};  // Without tenants.
  std::string address{};
  std::string build{};
  std::string arithmetic_id{};
  std::string instruction_set{};
  HostFacts facts{};
  HostReading reading{};
  double clock_ahead_seconds = 0;  // Of the head's, give or take ...
  double clock_uncertainty_seconds = 0;
  double round_trip_seconds = 0;  // The shortest of several.
  double bytes_per_second_there = 0;
  double bytes_per_second_back = 0;
  std::string failure{};  // Why the rest is not known.
};

struct ControlReply {
  std::optional<Error> error{};
  std::vector<JobSummary> jobs{};    // submit: the one; jobs; show and the three changes: the one.
  std::vector<std::string> lines{};  // logs; why: the one.
  std::vector<std::vector<std::byte>> events{};  // watch: encoded RunEvents.
  // logs, watch: where to go on. jobs: the next first_id, 0 when complete. SendContent: the offset
  // that is to come next, the file's size when all are there.
  uint64_t next = 0;
  std::optional<ServerFacts> server{};  // ShowServer.
  std::vector<HostSummary> hosts{};     // ListHosts; drain and undrain: the one.
  std::vector<std::string> lacking{};   // OfferContent: digests.
  std::optional<HostReport> report{};   // ExamineHost.
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
