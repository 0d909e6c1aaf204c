#include "cluster/daemon/input_desk.h"

#include <fmt/format.h>
#include <poll.h>

#include <chrono>
#include <filesystem>
#include <utility>

#include "cluster/jobs/job_paths.h"
#include "cluster/jobs/job_text.h"
#include "model/formats/file.h"
#include "schemas/hash.h"

namespace troupe::cluster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kPartsWaitingMax = 64;
constexpr std::chrono::minutes kSweepPeriod{10};
constexpr int kLookMs = 30'000;

ControlReply failed(Error error) {
  ControlReply reply;
  reply.error = std::move(error);
  return reply;
}

// Nobody has a store of files without a name to it.
std::optional<Error> refuse_nameless(const Asker& asker) {
  if (!asker.name.empty()) return std::nullopt;
  return invalid_argument(
      "files are sent ahead of a job by users of other hosts; here they are named by their paths");
}

bool may_still_run(JobState state) { return !is_terminal(state) || state == JobState::kFailed; }

}  // namespace

InputDesk::InputDesk(ContentStore store, AllowedPaths allowed, std::span<const JobRecord> jobs)
    : store_(std::move(store)), allowed_(std::move(allowed)) {
  for (const JobRecord& job : jobs) note(job);
  thread_ = std::thread([this] { run(); });
}

InputDesk::~InputDesk() {
  mailbox_.close();
  thread_.join();
}

void InputDesk::run() {
  std::vector<std::function<void()>> tasks;
  auto swept_at = Clock::now();
  store_.sweep(swept_at);
  while (mailbox_.take(tasks)) {
    for (const auto& task : tasks) task();
    if (const auto now = Clock::now(); now - swept_at >= kSweepPeriod) {
      store_.sweep(now);
      swept_at = now;
    }
    pollfd polled{mailbox_.descriptor(), POLLIN, 0};
    ::poll(&polled, 1, kLookMs);
  }
}

void InputDesk::offer(OfferContent offer, const Asker& asker, Answer answer) {
  mailbox_.put([this, offer = std::move(offer), asker, answer = std::move(answer)] {
    if (auto refused = refuse_nameless(asker)) return answer(failed(*refused));
    auto lacking = store_.lacking(asker.name, offer.files);
    if (!lacking) return answer(failed(lacking.error()));
    ControlReply reply;
    reply.lacking = std::move(*lacking);
    answer(std::move(reply));
  });
}

void InputDesk::send(SendContent part, const Asker& asker, Answer answer) {
  if (++parts_waiting_ > kPartsWaitingMax) {
    --parts_waiting_;
    return answer(failed({ErrorCode::kOverloaded, "too many parts of files wait; ask again"}));
  }
  mailbox_.put([this, part = std::move(part), asker, answer = std::move(answer)] {
    --parts_waiting_;
    if (auto refused = refuse_nameless(asker)) return answer(failed(*refused));
    const auto next = store_.take(asker.name, part, Clock::now());
    if (!next) return answer(failed(next.error()));
    ControlReply reply;
    reply.next = *next;
    answer(std::move(reply));
  });
}

void InputDesk::check(const SubmitJob& submit, const Asker& asker,
                      std::function<void(Status)> checked) {
  mailbox_.put([this, job = submit.job, asker, checked = std::move(checked)] {
    checked(check_now(job, asker));
  });
}

Status InputDesk::check_now(const JobSpec& job, const Asker& asker) {
  if (Status here = store_.check(asker.name, content_of(job)); !here) return here;
  if (asker.is_operator) return ok();
  JobSpec copy = job;  // Its paths may be written to.
  Status status = ok();
  for_each_path(copy, [&](std::string_view key, const std::string& path) {
    if (!status || parse_reference(path)) return;
    if (const auto found = allowed_.find(path, own_folder(asker.name, path)); !found) {
      status = invalid_argument(fmt::format("{}: {}", key, found.error().message));
    }
  });
  return status;
}

void InputDesk::job_changed(const JobRecord& record) {
  mailbox_.put([this, record] { note(record); });
}

void InputDesk::note(const JobRecord& record) {
  if (record.owner.empty()) return;
  if (may_still_run(record.state)) {
    store_.hold(record.id, record.owner, content_of(record.spec));
  } else {
    store_.release(record.id);
  }
  const std::lock_guard lock(mutex_);
  homes_[record.owner].insert(record.home);
}

std::vector<std::string> InputDesk::own_folder(const std::string& owner,
                                               const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto found = homes_.find(owner);
  if (found == homes_.end()) return {};
  // There may be many of them, so they are looked up by what is above the path.
  for (std::filesystem::path at = std::filesystem::path(path).lexically_normal();
       at.has_relative_path(); at = at.parent_path()) {
    if (found->second.count(at.string()) > 0) return {at.string()};
  }
  return {};
}

Result<JobSpec> InputDesk::with_paths(const JobRecord& record) const {
  JobSpec job = record.spec;
  Status status = ok();
  for_each_path(job, [&](std::string_view key, std::string& path) {
    if (!status) return;
    const auto reference = parse_reference(path);
    if (!reference) {
      if (!record.is_confined) return;
      auto found = allowed_.find(path, own_folder(record.owner, path));
      if (!found) {
        status = invalid_argument(fmt::format("{}: {}", key, found.error().message));
        return;
      }
      path = std::move(*found);
      return;
    }
    path = store_.path_of(record.owner, *reference);
    const auto content = model::read_file(path, kContentBytesMax);
    if (!content || sha256_hex(std::as_bytes(std::span(*content))) != reference->sha256) {
      status = invalid_argument(fmt::format(
          "{}: {}, which was sent with the job, is not at {} as it came{}; submit the job again",
          key, in_quotes(reference->name), path,
          content ? ": the file has changed" : ": " + content.error().message));
    }
  });
  if (!status) return status.error();
  return job;
}

}  // namespace troupe::cluster
