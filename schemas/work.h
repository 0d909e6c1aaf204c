// What the head and a worker say to each other. Every message travels in an Envelope; a worker's
// only inputs are these messages and the policy files and recovery points that they name, so what
// it computes is a function of them.
//
//   worker                      head
//     Hello           ──▶                      who it is; its slot's token proves it. Again to the
//                                              next head, when this one is gone
//                     ◀──       Lease          epoch, roles, job, where to start from
//     WorkerReady     ──▶                      its version and the identity of its weights
//     Heartbeat       ──▶                      four times a second
//                     ◀──       GenerateGroups, JudgeGroups, LearnShare, SavePoint, ...
//     GroupsGenerated, GroupsJudged, StepLearned, PointWritten, ..., or WorkFailed
//
// The envelope's request id names the work that an answer belongs to, its epoch the lease: messages
// of an older lease are dropped by both sides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "schemas/ids.h"
#include "schemas/job.h"
#include "schemas/metrics.h"
#include "schemas/records.h"
#include "schemas/result.h"
#include "schemas/team.h"
#include "schemas/trajectory.h"
#include "schemas/verdict.h"

namespace troupe {

// Roles that a worker plays; several in one process share its weights.
struct Roles {
  bool rollout = false;
  bool learner = false;
  bool verifier = false;
  bool operator==(const Roles&) const = default;
};
std::string to_string(Roles roles);  // "rollout+learner"

// ---- From a worker.

// What a group is generated for. Values cross the wire.
enum class GroupPurpose : uint8_t {
  kTrain = 0,     // id.round is the round.
  kEvaluate = 1,  // id.round is the policy version; another stream of random numbers.
};

struct HeldGroup {
  GroupId id{};
  GroupPurpose purpose = GroupPurpose::kTrain;
  bool operator==(const HeldGroup&) const = default;
};

struct Hello {
  uint32_t slot = 0;
  std::string token{};  // Given to the process when it was started.
  uint64_t pid = 0;
  std::string arithmetic_id{};    // "cpu-1"
  std::string instruction_set{};  // "avx512"; another one gives the same bits.
  uint32_t cores = 0;
  // Of a rollout that has outlived its head: what it has generated lately or still does, which it
  // need not do again.
  std::vector<HeldGroup> holds{};
};

// The lease is taken and everything that it asks for is in memory.
struct WorkerReady {
  PolicyVersion version{};       // Of the learner, or else that the rollout has loaded.
  std::string weights_sha256{};  // Of these weights when published; empty: there are none.
  int64_t num_parameters = 0;
};

struct Heartbeat {
  uint64_t beat = 0;            // 1, 2, ... within a lease.
  uint64_t request_id = 0;      // What it works on; 0: nothing.
  int64_t sequences_done = 0;   // Of the groups that it generates.
  int64_t sequences_total = 0;  //
  std::string waits_for{};      // Room on a disk, for people to read; empty: it works.
  // Of a rank of a team.
  std::string operation{};      // That it is at with the others; empty: none.
  int32_t waits_for_rank = -1;  // In it; -1: nobody.
  uint64_t team_bytes = 0;      // That it has sent to the others.
};

struct SampledResponse {
  std::vector<int32_t> tokens{};  // The stop token included, when one was sampled.
  std::vector<float> logprobs{};  // Of each token, at the sampling temperature, before top-p.
  FinishReason finish_reason = FinishReason::kStop;
  // Of tokens [begin, end) of the response; empty: all are by the group's version.
  std::vector<VersionRange> versions{};
};

struct GeneratedGroup {
  GroupId id{};
  GroupPurpose purpose = GroupPurpose::kTrain;
  PolicyVersion version{};  // That its request was begun by.
  std::vector<SampledResponse> responses{};
};

// Some groups of a GenerateGroups; `is_last` ends it.
struct GroupsGenerated {
  std::vector<GeneratedGroup> groups{};
  ResponseSegments segments{};  // Of groups that are not finished, in order.
  bool is_last = false;
  double core_seconds = 0;  // Since the request's last message.
};

struct JudgedGroup {
  GroupId id{};
  GroupPurpose purpose = GroupPurpose::kTrain;
  std::vector<Verdict> verdicts{};  // One per response.
};

struct GroupsJudged {
  std::vector<JudgedGroup> groups{};
  double core_seconds = 0;
};

struct StepLearned {
  StepMetrics metrics{};  // The learner's fields; `version` is after the step.
  double core_seconds = 0;
  std::string digest{};  // Of the gradient: what all ranks of a team have alike.
};

// A file with the published weights of a version is there, for workers of the same host to map.
struct PolicyPublished {
  PolicyVersion version{};
  std::string path{};
  std::string weights_sha256{};
};

struct PolicyLoaded {
  PolicyVersion version{};
  std::string weights_sha256{};
};

// The request cannot be done, here or anywhere: the job fails with this, and may be resumed once
// the cause is gone. A worker that is only broken itself ends instead, which counts as an attempt.
struct WorkFailed {
  Error error{};
};

// ---- To a worker.

// A verifier's program that runs without a sandbox, because whoever runs the head says so.
struct TrustedProgram {
  std::string name{};
  std::string path{};
  bool operator==(const TrustedProgram&) const = default;
};

struct Lease {
  uint32_t slot = 0;
  Roles roles{};
  uint32_t rollout_threads = 1;
  uint32_t learner_threads = 1;
  uint32_t verifier_threads = 1;
  JobSpec job{};
  int64_t context_max = 0;   // Longest prompt and response together.
  std::string point_path{};  // The learner starts from this recovery point; empty: fresh weights.
  PointRecord point{};       // What the point must be.
  // The head's programs that the job's rewards name; never from a tenant.
  std::vector<TrustedProgram> trusted_programs{};
  TeamSeat seat{};  // Of a learner.
};

// Another head listens: it is to be told who is here, and gives leases of its own.
struct HeadChanged {};

struct PromptGroup {
  GroupId id{};
  GroupPurpose purpose = GroupPurpose::kTrain;
  std::vector<int32_t> prompt{};
  uint32_t num_samples = 1;
  // Goes on from these: at most one for each sample, from its first token on, by the same version.
  ResponseSegments begun{};
};

struct GenerateGroups {
  PolicyVersion version{};
  float temperature = 1;
  float top_p = 1;
  int64_t max_response_tokens = 0;
  std::vector<int32_t> stop_tokens{};  // Each ends a response.
  // Of a training group: after each so many tokens a response that is not finished is told so far;
  // 0: never.
  int64_t segment_tokens = 0;
  std::vector<PromptGroup> groups{};
};

// Generation of this and of every earlier request id is given up; nothing more is sent for it.
struct CancelGeneration {};

struct TextToJudge {
  std::string text{};         // Without the end token.
  uint32_t num_tokens = 0;    // The end token included.
  bool is_truncated = false;  // It ended by the limit.
  bool operator==(const TextToJudge&) const = default;
};

struct GroupToJudge {
  GroupId id{};
  GroupPurpose purpose = GroupPurpose::kTrain;
  std::string prompt{};  // The question as text.
  std::string gold{};
  std::vector<TextToJudge> responses{};
};

struct JudgeGroups {
  std::vector<GroupToJudge> groups{};
};

struct PublishPolicy {
  PolicyVersion version{};  // Must be the learner's current one.
  std::string path{};
};

struct LoadPolicy {
  PolicyVersion version{};
  std::string path{};
  std::string weights_sha256{};
};

// A file with published weights.
struct PolicyFile {
  PolicyVersion version{};
  std::string path{};
  bool operator==(const PolicyFile&) const = default;
};

struct SavePoint {
  PolicyVersion version{};             // Must be the learner's current one.
  std::string folder{};                // Whoever asked has made it, and renames it.
  std::vector<PolicyFile> policies{};  // To be kept in the point.
};

using FromWorker =
    std::variant<Hello, RankSeated, WorkerReady, Heartbeat, GroupsGenerated, GroupsJudged,
                 StepLearned, PolicyPublished, PolicyLoaded, PointWritten, WorkFailed>;
using ToWorker = std::variant<Lease, JoinTeam, GenerateGroups, CancelGeneration, JudgeGroups,
                              LearnShare, PublishPolicy, LoadPolicy, SavePoint, HeadChanged>;

}  // namespace troupe
