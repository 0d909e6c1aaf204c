#include "cluster/daemon/embedded_run.h"

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "actors/job/prepared_job.h"
#include "actors/replay/replay_store.h"
#include "actors/scheduler/placement.h"
#include "cluster/daemon/head.h"
#include "cluster/dashboard/dashboard.h"
#include "cluster/formats/tensorboard_sink.h"
#include "cluster/jobs/specification.h"
#include "cluster/monitor/gpu_reader.h"
#include "cluster/monitor/watched_job.h"
#include "kernels/device_backend.h"
#include "model/formats/file.h"
#include "schemas/job_codec.h"
#include "schemas/metrics_codec.h"
#include "schemas/monotonic_clock.h"
#include "schemas/records_codec.h"

namespace troupe::cluster {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using actors::RecordKind;
using actors::ReplayStore;

// A home holds one job.
constexpr uint64_t kJobId = 1;
constexpr const char* kRequestId = "run";
constexpr auto kAnswerPatience = 30s;
constexpr auto kInterruptPeriod = 50ms;

Result<std::optional<JobRecord>> find_job(const ReplayStore& store) {
  auto stored = store.find({kJobId, RecordKind::kJob, 0, 0});
  if (!stored) return stored.error();
  if (!*stored) return std::optional<JobRecord>{};
  auto record = decode_job_record((*stored)->value);
  if (!record) return record.error();
  return std::optional(std::move(*record));
}

std::string progress_of(const ReplayStore& store, const JobRecord& record) {
  uint64_t steps = 0;
  if (auto stored = store.list(kJobId, RecordKind::kStep); stored && !stored->empty()) {
    steps = stored->back().key.number;
  }
  return fmt::format("step {} of {}", steps, record.spec.sft.steps + record.spec.grpo.steps);
}

// What a run leaves in its home, for a job that begins afresh.
constexpr const char* kRunFolders[] = {"replay", "checkpoints", "policies", "traces"};

Result<RunOutcome> outcome_of(const ReplayStore& store, JobRecord record) {
  RunOutcome outcome{.record = std::move(record)};
  auto ledger = store.find({kJobId, RecordKind::kLedger, 0, 0});
  if (!ledger) return ledger.error();
  if (*ledger) {
    auto decoded = decode_ledger((*ledger)->value);
    if (!decoded) return decoded.error();
    outcome.ledger = std::move(*decoded);
  }
  auto evaluations = store.list(kJobId, RecordKind::kEvaluation);
  if (!evaluations) return evaluations.error();
  for (const auto& stored : *evaluations) {
    auto decoded = decode_evaluation_record(stored.value);
    if (!decoded) return decoded.error();
    if (!decoded->is_gate) outcome.evaluations.push_back(std::move(*decoded));
  }
  return outcome;
}

void clear_home(const std::string& home) {
  std::error_code ignored;
  for (const char* name : kRunFolders) fs::remove_all(home + "/" + name, ignored);
  for (const char* name : {"workers.log", "credentials"})
    fs::remove_all(home + "/" + name, ignored);
}

// A finished run: what cannot be computed again of it, and how it ended.
struct Recording {
  std::string home{};
  std::string weights_sha256{};
  std::vector<actors::Write> writes{};
};

Result<Recording> read_recording(const std::string& home, const std::string& specification) {
  const std::string folder = store_folder(home);
  if (!fs::exists(folder)) return invalid_argument(home + " holds no job to replay");
  auto store = ReplayStore::open(folder);
  if (!store) return store.error();
  const auto found = find_job(**store);
  if (!found) return found.error();
  if (!*found || (*found)->state != JobState::kFinished) {
    return invalid_argument(home + " holds no finished job; only such a one can be replayed");
  }
  const JobRecord& job = **found;
  if (job.specification_hash != specification) {
    return invalid_argument(
        fmt::format("the job is not the one that {} holds: its specification is {:.12}, there it "
                    "is {:.12}",
                    home, specification, job.specification_hash));
  }
  Recording recording{.home = home, .weights_sha256 = job.weights_sha256};
  for (RecordKind kind :
       {RecordKind::kRound, RecordKind::kGroup, RecordKind::kDrop, RecordKind::kEvaluation}) {
    auto records = (*store)->list(kJobId, kind);
    if (!records) return records.error();
    const bool is_first = kind == RecordKind::kGroup && job.spec.grpo.steps > 0;
    if (is_first && (records->empty() || records->front().key.number > 0)) {
      return invalid_argument(
          fmt::format("{} has forgotten its first groups; a job that is to be replayed is run with "
                      "schedule.keep_groups=true",
                      home));
    }
    for (auto& record : *records) {
      recording.writes.push_back({record.key, std::move(record.value)});
    }
  }
  return recording;
}

// A batch is held in memory whole.
Status write_recording(ReplayStore& store, uint64_t epoch, const Recording& recording) {
  constexpr size_t kBatchBytes = 16 << 20;
  actors::Batch batch{.job = kJobId, .epoch = epoch};
  size_t bytes = 0;
  for (size_t i = 0; i < recording.writes.size(); ++i) {
    batch.writes.push_back(recording.writes[i]);
    bytes += recording.writes[i].value.size();
    if (bytes < kBatchBytes && i + 1 < recording.writes.size()) continue;
    if (Status written = store.commit(std::span(&batch, 1)).front(); !written) return written;
    batch.writes.clear();
    bytes = 0;
  }
  return ok();
}

// What a home holds, while nobody else can have it.
struct Home {
  std::unique_ptr<ReplayStore> store{};
  std::optional<JobRecord> known{};
};

// As check_home.
Result<Home> open_home(const RunOptions& options) {
  const std::string& home = options.home;
  std::error_code not_there;
  if (!options.replays.empty() && fs::equivalent(home, options.replays, not_there)) {
    return invalid_argument("a replay needs a --home of its own, not " + options.replays);
  }
  const auto none = [&] {
    return invalid_argument(
        fmt::format("{} holds no job to go on with; leave out --resume to begin one", home));
  };
  if (options.resumes && options.overwrites) {
    return invalid_argument("--resume goes on with a job and --overwrite removes it; take one");
  }
  const std::string folder = store_folder(home);
  if (!fs::exists(folder)) {
    if (options.resumes) return none();
    for (const char* name : kRunFolders) {
      std::error_code ignored;
      const std::string path = home + "/" + name;
      if (options.overwrites || !fs::exists(path, ignored) || fs::is_empty(path, ignored)) continue;
      return invalid_argument(
          fmt::format("{} is there already and no run of this home made it; a run would remove it: "
                      "take another --home, or say --overwrite",
                      path));
    }
    return Home{};
  }
  auto store = ReplayStore::open(folder);
  if (!store) return store.error();
  auto known = find_job(**store);
  if (!known) return known.error();
  if (!*known && options.resumes) return none();
  if (!*known || options.resumes) return Home{std::move(*store), std::move(*known)};
  const bool has_ended =
      (*known)->state == JobState::kFinished || (*known)->state == JobState::kCancelled;
  if (!has_ended) {
    return invalid_argument(
        fmt::format("{} holds an unfinished job ({}); add --resume to go on with it, take another "
                    "--home, or remove the folder",
                    home, progress_of(**store, **known)));
  }
  if (options.overwrites) return Home{std::move(*store), std::move(*known)};
  return invalid_argument(fmt::format(
      "{} holds a {} job ({}) and its checkpoints; take another --home, say --overwrite to replace "
      "them, or --resume with a larger grpo.steps to go on",
      home, name((*known)->state), progress_of(**store, **known)));
}

// No two of its processes share a GPU, so a job that needs more than there are would wait forever.
Status check_gpus(const JobSpec& job, size_t gpus) {
  const uint32_t needed = actors::need_of(job).slots.required;
  if (needed <= gpus) return ok();
  return invalid_argument(
      fmt::format("resources: rollouts and ranks of the learner have a GPU each, together {}, and "
                  "this host has {} that can be used; ask for fewer, share them "
                  "(resources.placement = \"colocated\"), or say resources.device = \"cpu\"",
                  needed, gpus));
}

}  // namespace

Status check_home(const RunOptions& options) {
  auto home = open_home(options);
  return home ? ok() : Status(home.error());
}

Result<RunOutcome> run_embedded(const kernels::Backend& backend, const JobSpec& job,
                                const RunOptions& options, actors::MetricsSink& view) {
  const double began = monotonic_seconds();
  const std::string folder = store_folder(options.home);
  if (Status status = check_home(options); !status) return status.error();
  // Bounds of what can be written down.
  if (Status writable = troupe::validate(job); !writable) {
    return invalid_argument(writable.error().message);
  }
  // The job is looked at before anything is written, and again by whoever runs it.
  auto device = kernels::device_backend(job.resources.device, backend);
  if (!device) return invalid_argument("resources.device: " + device.error().message);
  if (device->backend != &backend) {
    if (Status status = check_gpus(job, usable_gpus().size()); !status) return status.error();
  }
  auto prepared = actors::prepare_job(*device->backend, job, options.trusted_programs);
  if (!prepared) return prepared.error();
  const std::string specification = specification_hash(job);

  std::optional<Recording> recording;
  if (!options.replays.empty()) {
    auto read = read_recording(options.replays, specification);
    if (!read) return read.error();
    recording = std::move(*read);
  }
  // Again: another run may have begun here since.
  auto home = open_home(options);
  if (!home) return home.error();
  auto& [store, known] = *home;
  bool goes_on_longer = false;
  if (!options.resumes) {
    store.reset();
    clear_home(options.home);
    known.reset();
  } else {
    // Nothing of a history depends on how long it is to be.
    JobSpec as_known = job;
    goes_on_longer = known->spec.grpo.steps > 0 && job.grpo.steps > known->spec.grpo.steps;
    if (goes_on_longer) as_known.grpo.steps = known->spec.grpo.steps;
    if (known->specification_hash != specification_hash(as_known)) {
      return invalid_argument(fmt::format(
          "the job is not the one that {} holds: {}; only [resources], [eval], "
          "[prices], paths, how often checkpoints are written and a larger grpo.steps may change",
          options.home, differences(as_known, known->spec)));
    }
    if (!known->data_sha256.empty() && known->data_sha256 != prepared->data_sha256) {
      return invalid_argument(
          fmt::format("the files that the job learns from are not those that {} began with; put "
                      "them back, or begin a new job",
                      options.home));
    }
    // What made a job fail may be gone: a full disk, a damaged file that was put back. It is tried
    // again from what the store has.
    const bool has_more_to_do = known->state == JobState::kFailed ||
                                (goes_on_longer && known->state != JobState::kCancelled);
    if (is_terminal(known->state) && !has_more_to_do) {
      auto outcome = outcome_of(*store, *known);
      if (outcome) view.noted("the job has ended already; nothing is left to do");
      return outcome;
    }
  }
  if (!store) {
    if (Status status = model::create_folders(options.home); !status) return status.error();
    auto opened = ReplayStore::open(folder);
    if (!opened) return opened.error();
    store = std::move(*opened);
  }
  // The job as it is asked for this time; it is queued whatever it was.
  auto epoch = store->begin_epoch(kJobId);
  if (!epoch) return epoch.error();
  if (recording && !known) {
    if (Status s = write_recording(*store, *epoch, *recording); !s) return s.error();
  }
  JobRecord record = known.value_or(JobRecord{.id = kJobId, .request_id = kRequestId});
  record.spec = job;
  record.specification_hash = specification;
  record.home = options.home;
  record.state = JobState::kQueued;
  record.message.clear();
  const actors::Batch batch{
      .job = kJobId,
      .epoch = *epoch,
      .writes = {{.key = {kJobId, RecordKind::kJob, 0, 0}, .value = encode(record)}}};
  if (Status written = store->commit(std::span(&batch, 1)).front(); !written) {
    return written.error();
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::optional<JobRecord> ended;
  std::shared_ptr<WatchedJob> job_watched;
  TensorBoardSink tensorboard(options.home, options.resumes);
  Head::Options head_options;
  head_options.folder = options.home;
  head_options.trusted_programs = options.trusted_programs;
  head_options.home_of = [home = options.home](uint64_t) { return home; };
  head_options.make_sink = [&](const JobRecord& of, const actors::ReportedPast& past) {
    auto watched = std::make_shared<WatchedJob>(
        WatchedJob::Options{
            .home = of.home, .goes_on = options.resumes, .listeners = {&view, &tensorboard}},
        past);
    const std::lock_guard lock(mutex);
    job_watched = watched;
    return watched;
  };
  head_options.job_changed = [&](const JobRecord& of) {
    if (!is_terminal(of.state) && of.state != JobState::kPaused) return;
    const std::lock_guard lock(mutex);
    ended = of;
    changed.notify_all();
  };
  auto head = Head::open(backend, std::move(store), std::move(head_options));
  if (!head) return head.error();
  options.begins();
  Showing showing(
      options.dashboard,
      {.ask =
           [&head](ControlRequest request, Asker asker, std::function<void(ControlReply)> answer) {
             (*head)->ask(std::move(request), std::move(asker), std::move(answer));
           },
       .find_job =
           [&](uint64_t) {
             const std::lock_guard lock(mutex);
             return job_watched;
           }});
  bool is_pausing = false;
  {
    std::unique_lock lock(mutex);
    while (!changed.wait_for(lock, kInterruptPeriod, [&] { return ended.has_value(); })) {
      if (is_pausing || !options.is_interrupted()) continue;
      is_pausing = true;
      (*head)->leave_nobody();
      lock.unlock();
      auto paused = (*head)->ask_and_wait(PauseJob{kJobId}, kAnswerPatience);
      lock.lock();
      // It may have ended in this very moment.
      if (!paused && !ended) return paused.error();
    }
  }
  showing.end();
  head->reset();
  std::error_code ignored;
  fs::remove_all(options.home + "/credentials", ignored);
  if (ended->state == JobState::kFailed) return Error{ErrorCode::kInternal, ended->message};
  auto again = ReplayStore::open(folder);
  if (!again) return again.error();
  auto outcome = outcome_of(**again, *ended);
  if (!outcome) return outcome.error();
  outcome->seconds = monotonic_seconds() - began;
  if (recording && ended->state == JobState::kFinished &&
      ended->weights_sha256 != recording->weights_sha256) {
    return Error{ErrorCode::kInternal,
                 fmt::format("the replay ended with weights {}, {} with {}", ended->weights_sha256,
                             recording->home, recording->weights_sha256)};
  }
  return outcome;
}

}  // namespace troupe::cluster
