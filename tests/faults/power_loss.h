// In one file, because a history is made, cut off and judged by the same few facts.
//
// Seeded histories of the store on a disk that loses power, again and again, also while the store
// is opened after the loss before: what was acknowledged is there, and the store opens.
// TROUPE_POWER_SEED=N replays one seed, a number of times: when the database's own threads run is
// not the seed's to say.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/job/checkpoints.h"
#include "actors/replay/group_commit.h"
#include "actors/replay/mark_file.h"
#include "actors/replay/replay_store.h"
#include "model/formats/file.h"
#include "model/formats/recovery_point.h"
#include "tests/faults/corruption.h"
#include "tests/support/lossy_disk.h"
#include "tests/support/store_records.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_policy.h"

namespace troupe::tests {

// How often what happened, over all histories.
struct PowerLossCounts {
  uint64_t histories = 0;
  uint64_t openings = 0;
  uint64_t batches = 0;
  uint64_t acknowledged = 0;
  uint64_t unknown_kept = 0;  // Nobody was told of them, and they are there.
  uint64_t unknown_lost = 0;
  uint64_t stale_refused = 0;
  uint64_t epochs = 0;
  uint64_t losses = 0;
  uint64_t losses_while_opening = 0;
  uint64_t losses_while_recovering = 0;  // From a loss just before.
  uint64_t losses_between_calls = 0;
  uint64_t torn_manifests_refused = 0;
  uint64_t kills = 0;
  uint64_t errors = 0;
  uint64_t openings_failed_by_error = 0;
  uint64_t acknowledged_after_error = 0;  // In the life of the one that met it.
  std::map<std::string, uint64_t> met{};  // By fault, call and kind of file.
  LossyDisk::Outcomes left{};

  void add(const LossyDisk::Outcomes& more) {
    left.files_kept += more.files_kept;
    left.files_cut += more.files_cut;
    left.files_torn += more.files_torn;
    left.pages_zeroed += more.pages_zeroed;
    left.files_as_synced += more.files_as_synced;
    left.creations_lost += more.creations_lost;
    left.renames_lost += more.renames_lost;
    left.removals_lost += more.removals_lost;
    left.names_kept += more.names_kept;
    left.pages_dropped += more.pages_dropped;
  }
  std::vector<std::pair<std::string, uint64_t>> named() const {
    return {{"histories", histories},
            {"openings", openings},
            {"batches", batches},
            {"acknowledged", acknowledged},
            {"unknown and kept", unknown_kept},
            {"unknown and lost", unknown_lost},
            {"stale and refused", stale_refused},
            {"epochs", epochs},
            {"losses of power", losses},
            {"of these while opening", losses_while_opening},
            {"while recovering from another", losses_while_recovering},
            {"between two calls", losses_between_calls},
            {"kills", kills},
            {"errors", errors},
            {"openings failed by one", openings_failed_by_error},
            {"acknowledged after one", acknowledged_after_error},
            {"files kept", left.files_kept},
            {"files cut", left.files_cut},
            {"files torn", left.files_torn},
            {"files as synced", left.files_as_synced},
            {"pages zeroed", left.pages_zeroed},
            {"pages dropped by a failed sync", left.pages_dropped},
            {"names kept", left.names_kept},
            {"creations lost", left.creations_lost},
            {"renames lost", left.renames_lost},
            {"removals lost", left.removals_lost}};
  }
  std::string text() const {
    std::string text;
    for (const auto& [name, count] : named()) text += name + " " + std::to_string(count) + ", ";
    text += "torn MANIFEST refused " + std::to_string(torn_manifests_refused) + ", met:";
    for (const auto& [name, count] : met) text += " " + name + " " + std::to_string(count) + ";";
    return text;
  }
};

class PowerLossHistory {
 public:
  PowerLossHistory(uint64_t seed, const std::string& folder, PowerLossCounts& counts)
      : random_(stream_of(seed)), counts_(counts), store_folder_(folder + "/store") {
    fs::remove_all(folder);
    fs::create_directories(folder);
    disk_.emplace(folder, seed);
  }

  void run() {
    ++counts_.histories;
    for (uint64_t lives = 2 + random_.below(4); lives > 0; --lives) {
      auto store = open(/*faults_max=*/3);
      if (!store) return counts_.add(disk_->outcomes());
      verify(*store);
      live(std::move(store));
    }
    auto store = open(/*faults_max=*/0);
    if (store) verify(*store);
    store.reset();
    const auto difference = disk_->difference();
    CHECK_MESSAGE(!difference, difference.value_or(""));
    counts_.add(disk_->outcomes());
  }

 private:
  static constexpr uint64_t kJobs = 2;
  static constexpr size_t kTableBytes = 64 << 10;
  static constexpr size_t kManifestBytes = 1000;

  enum class State { kUnknown, kThere, kNotThere };
  struct Item {
    actors::Batch batch{};
    State state = State::kUnknown;
    uint64_t group = 0;   // Of those that are there together or not at all.
    uint64_t commit = 0;  // Once it was read.
  };
  struct Job {
    uint64_t epoch = 0;      // The last that is known to be there.
    uint64_t epoch_max = 0;  // That may be there.
    bool is_begun = false;   // By this life.
    uint64_t round = 0;
  };

  // ---- Faults.

  LossyDisk::Trigger random_trigger(uint64_t calls_max) {
    using Call = LossyDisk::Call;
    LossyDisk::Trigger trigger;
    const uint64_t fault = random_.below(10);
    trigger.fault = fault < 5   ? LossyDisk::Fault::kPowerLoss
                    : fault < 8 ? LossyDisk::Fault::kError
                                : LossyDisk::Fault::kKill;
    struct Target {
      const char* kind;
      std::optional<Call> call;
      uint64_t count_max;
    };
    const Target targets[] = {
        {"", std::nullopt, calls_max}, {"", std::nullopt, calls_max}, {"log", std::nullopt, 16},
        {"log", Call::kSync, 8},       {"log", Call::kSync, 8},       {"log", Call::kCreate, 2},
        {"sst", std::nullopt, 8},      {"sst", Call::kSync, 2},       {"MANIFEST", std::nullopt, 6},
        {"MANIFEST", Call::kSync, 3},  {"mark", std::nullopt, 12},    {"mark", Call::kSync, 8},
        {"dbtmp", std::nullopt, 3},    {"CURRENT", std::nullopt, 1},  {"OPTIONS", std::nullopt, 3},
        {"", Call::kSyncFolder, 4},    {"", Call::kRemove, 4}};
    const Target& target = targets[random_.below(std::size(targets))];
    trigger.kind = target.kind;
    trigger.call = target.call;
    trigger.count = 1 + random_.below(target.count_max);
    last_fault_ = trigger.fault;
    return trigger;
  }

  // What the armed trigger met is counted once.
  bool note_met() {
    const auto met = disk_->met();
    disk_->disarm();
    if (!met || is_noted_) return false;
    is_noted_ = true;
    static constexpr const char* kFaults[] = {"power", "kill", "error"};
    ++counts_.met[std::string(kFaults[static_cast<size_t>(last_fault_)]) + " at " +
                  LossyDisk::kCallNames[static_cast<size_t>(met->call)] +
                  (met->kind.empty() ? "" : " " + met->kind)];
    if (last_fault_ == LossyDisk::Fault::kError) ++counts_.errors;
    return true;
  }
  void arm(const LossyDisk::Trigger& trigger) {
    is_noted_ = false;
    disk_->arm(trigger);
  }
  void restart(bool is_loss) {
    ++(is_loss ? counts_.losses : counts_.kills);
    disk_->restart();
  }

  // ---- Lives.

  // A store that is open, after at most `faults_max` faults on the way. The database cannot read
  // its list of tables where that is torn: then it has to say so, and null is returned.
  std::unique_ptr<actors::ReplayStore> open(int faults_max) {
    bool is_recovering = false;
    while (true) {
      ++counts_.openings;
      const bool is_armed = faults_max-- > 0 && random_.below(is_recovering ? 2 : 3) == 0;
      if (is_armed) arm(random_trigger(60));
      auto store = actors::ReplayStore::open(
          store_folder_, {.table_bytes = kTableBytes, .manifest_bytes = kManifestBytes});
      const bool is_met = is_armed && note_met();
      if (is_met && disk_->is_off()) {
        if (store) store->reset();
        const bool is_loss = last_fault_ == LossyDisk::Fault::kPowerLoss;
        if (is_loss) ++counts_.losses_while_opening;
        if (is_loss && is_recovering) ++counts_.losses_while_recovering;
        is_recovering |= is_loss;
        restart(is_loss);
        continue;
      }
      if (is_met && !store) {
        ++counts_.openings_failed_by_error;
        continue;
      }
      if (!store && disk_->has_torn("MANIFEST")) {
        check_refusal(store.error(), store_folder_);
        ++counts_.torn_manifests_refused;
        return nullptr;
      }
      REQUIRE_MESSAGE(store, (store ? "" : store.error().message));
      return *std::move(store);
    }
  }

  // Some rounds of commits, and an end: a loss of power, a kill, or in peace.
  void live(std::unique_ptr<actors::ReplayStore> opened) {
    bool is_armed = random_.below(6) != 0;
    if (is_armed) arm(random_trigger(80));
    // Half of them rest as soon as they have nothing to do.
    auto commits = std::make_unique<actors::GroupCommit>(
        std::move(opened), actors::GroupCommit::kQueueBytesMax, [](const std::string&) {},
        std::chrono::milliseconds(random_.below(2) == 0 ? 0 : 1'000));
    bool has_met_error = false;
    for (uint64_t rounds = 1 + random_.below(12); rounds > 0 && !disk_->is_off(); --rounds) {
      const bool is_acknowledged = do_round(*commits, has_met_error);
      if (is_armed && disk_->met() && !disk_->is_off()) {
        has_met_error |= note_met();
        is_armed = random_.below(2) == 0;
        if (is_armed) arm(random_trigger(60));
      }
      if (is_acknowledged) num_commits_acknowledged_ = commits->store().num_commits();
      // Others read it too, and what they saw may not go.
      if (is_acknowledged && random_.below(4) == 0) verify(commits->store());
    }
    note_met();
    const uint64_t way = random_.below(8);
    if (!disk_->is_off() && way > 0) {
      last_fault_ = way == 1 ? LossyDisk::Fault::kKill : LossyDisk::Fault::kPowerLoss;
      way == 1 ? disk_->kill() : disk_->lose_power();
      if (way > 1) ++counts_.losses_between_calls;
    }
    commits.reset();
    for (Job& job : jobs_) job.is_begun = false;
    if (disk_->is_off()) restart(last_fault_ == LossyDisk::Fault::kPowerLoss);
  }

  // Waits until everything submitted before is done.
  static void settle(actors::GroupCommit& commits) {
    std::promise<void> done;
    commits.read([&](const actors::ReplayStore&) { done.set_value(); });
    done.get_future().wait();
  }

  // What is submitted while the writer is held is committed together, on every run of a seed.
  // Says whether all of it was acknowledged.
  bool do_round(actors::GroupCommit& commits, bool has_met_error) {
    struct Answer {
      size_t item = 0;
      bool is_stale = false;
      std::optional<Status> status{};
    };
    struct EpochAnswer {
      Job* job = nullptr;
      std::optional<Result<uint64_t>> epoch{};
    };
    std::vector<std::unique_ptr<Answer>> answers;
    std::vector<std::unique_ptr<EpochAnswer>> epoch_answers;
    std::promise<void> is_held;
    std::promise<void> release;
    commits.read([&](const actors::ReplayStore&) {
      is_held.set_value();
      release.get_future().wait();
    });
    is_held.get_future().wait();
    ++group_;
    for (uint64_t count = 1 + random_.below(5); count > 0; --count) {
      const uint64_t job_id = 1 + random_.below(kJobs);
      Job& job = jobs_[job_id];
      if (!job.is_begun || random_.below(20) == 0) {
        const bool is_asked = std::any_of(epoch_answers.begin(), epoch_answers.end(),
                                          [&](const auto& answer) { return answer->job == &job; });
        if (is_asked) continue;
        ++job.epoch_max;
        job.is_begun = false;
        EpochAnswer* const answer =
            epoch_answers.emplace_back(std::make_unique<EpochAnswer>()).get();
        answer->job = &job;
        commits.begin_epoch(job_id,
                            [answer](Result<uint64_t> epoch) { answer->epoch = std::move(epoch); });
        ++group_;
        continue;
      }
      Answer* const answer = answers.emplace_back(std::make_unique<Answer>()).get();
      answer->item = items_.size();
      answer->is_stale = random_.below(25) == 0;
      items_.push_back({.batch = random_batch(job_id, job), .group = group_});
      Item& item = items_.back();
      if (answer->is_stale) {
        --item.batch.epoch;
        item.group = 0;
      }
      ++counts_.batches;
      REQUIRE(commits.submit(item.batch,
                             [answer](Status status) { answer->status = std::move(status); }));
    }
    release.set_value();
    settle(commits);
    bool is_all = true;
    for (const auto& answer : epoch_answers) {
      REQUIRE(answer->epoch);
      const Result<uint64_t>& epoch = *answer->epoch;
      is_all &= static_cast<bool>(epoch);
      if (!epoch) continue;
      ++counts_.epochs;
      CHECK(*epoch > answer->job->epoch);
      CHECK(*epoch <= answer->job->epoch_max);
      answer->job->epoch = answer->job->epoch_max = *epoch;
      answer->job->is_begun = true;
    }
    for (const auto& answer : answers) {
      REQUIRE(answer->status);
      Item& item = items_[answer->item];
      const Status& status = *answer->status;
      if (answer->is_stale) {
        CHECK_FALSE(status);
        item.state = State::kNotThere;
        counts_.stale_refused += !status && status.error().code == ErrorCode::kStaleEpoch;
        continue;
      }
      is_all &= static_cast<bool>(status);
      if (!status) continue;
      item.state = State::kThere;
      ++counts_.acknowledged;
      if (has_met_error) ++counts_.acknowledged_after_error;
    }
    return is_all;
  }

  // A number for life, groups of a round, and now and then an older round forgotten.
  actors::Batch random_batch(uint64_t job_id, Job& job) {
    using actors::RecordKind;
    actors::Batch batch{.job = job_id, .epoch = job.epoch};
    const uint64_t number = items_.size();
    batch.writes.push_back(write(job_id, RecordKind::kStep, number, numbered_text(number)));
    if (random_.below(3) == 0) ++job.round;
    for (auto ordinal = static_cast<uint32_t>(random_.below(4)); ordinal > 0; --ordinal) {
      const uint64_t size = random_.below(6) == 0 ? random_.below(40'000) : random_.below(600);
      batch.writes.push_back(
          write(job_id, RecordKind::kGroup, job.round, random_bytes(random_, size), ordinal));
    }
    batch.writes.push_back(write(job_id, RecordKind::kLedger, 0, random_bytes(random_, 60)));
    if (random_.below(3) == 0 && job.round > 2) {
      batch.erases = {{.kind = RecordKind::kGroup, .first = 0, .end = job.round - 2}};
    }
    return batch;
  }

  // ---- What must be there.

  // Decides what nobody was told of, and from now on it stays as it is.
  void verify(const actors::ReplayStore& store) {
    using actors::RecordKind;
    const auto mark = actors::MarkFile::open(store_folder_ + "/mark");
    REQUIRE(mark);
    REQUIRE(mark->has_value());
    REQUIRE((*mark)->value() >= num_commits_acknowledged_);
    KnownStore::Records found;
    for (uint64_t job = 1; job <= kJobs; ++job) {
      for (uint8_t kind = 1; kind <= static_cast<uint8_t>(RecordKind::kSegments); ++kind) {
        auto records = store.list(job, static_cast<RecordKind>(kind));
        REQUIRE_MESSAGE(records, (records ? "" : records.error().message));
        for (auto& record : *records) found[record.key] = std::move(record);
      }
    }
    verify_epochs(found);
    KnownStore::Records want;
    std::map<uint64_t, State> groups;
    uint64_t last_commit = 0;
    for (uint64_t number = 0; number < items_.size(); ++number) {
      CAPTURE(number);
      Item& item = items_[number];
      const actors::Batch& batch = item.batch;
      const auto at = found.find(batch.writes[0].key);
      const State state = at != found.end() ? State::kThere : State::kNotThere;
      if (item.state == State::kUnknown) {
        ++(state == State::kThere ? counts_.unknown_kept : counts_.unknown_lost);
        const auto [group, is_first] = groups.try_emplace(item.group, state);
        REQUIRE_MESSAGE(group->second == state, "a part of what was committed at once is there");
        item.state = state;
      }
      const bool was_acknowledged = item.state == State::kThere;
      REQUIRE_MESSAGE(
          item.state == state,
          std::string(was_acknowledged ? "an acknowledged batch is lost" : "a batch came back"));
      if (state == State::kNotThere) continue;
      REQUIRE(at->second.commit > last_commit);
      last_commit = at->second.commit;
      if (item.commit != 0) REQUIRE(item.commit == last_commit);
      item.commit = last_commit;
      for (const actors::Erase& erase : batch.erases) {
        std::erase_if(want, [&](const auto& one) {
          const actors::RecordKey& key = one.first;
          return key.job == batch.job && key.kind == erase.kind && key.number >= erase.first &&
                 key.number < erase.end;
        });
      }
      for (const actors::Write& w : batch.writes) {
        want[w.key] = {.key = w.key, .epoch = batch.epoch, .commit = item.commit, .value = w.value};
      }
    }
    REQUIRE_MESSAGE(equal(found, want), "the records are not those of the batches that are there");
    REQUIRE(store.num_commits() >= std::max(last_commit, num_commits_));
    num_commits_ = store.num_commits();
  }

  // Takes the records of epochs out of `found`.
  void verify_epochs(KnownStore::Records& found) {
    for (uint64_t id = 1; id <= kJobs; ++id) {
      const actors::RecordKey key{.job = id, .kind = actors::RecordKind::kEpoch};
      Job& job = jobs_[id];
      const auto at = found.find(key);
      const uint64_t epoch = at == found.end() ? 0 : at->second.epoch;
      CAPTURE(id);
      REQUIRE_MESSAGE(epoch >= job.epoch, "an epoch went back");
      REQUIRE(epoch <= job.epoch_max);
      job.epoch = job.epoch_max = epoch;
      found.erase(key);
    }
  }

  RandomStream random_;
  PowerLossCounts& counts_;
  const std::string store_folder_;
  std::optional<LossyDisk> disk_{};
  Job jobs_[kJobs + 1] = {};   // By their number.
  std::vector<Item> items_{};  // By the number of the batch.
  uint64_t group_ = 0;
  uint64_t num_commits_ = 0;               // When it was looked at last.
  uint64_t num_commits_acknowledged_ = 0;  // When a round was last.
  LossyDisk::Fault last_fault_ = LossyDisk::Fault::kPowerLoss;
  bool is_noted_ = false;
};

// Runs `count` seeds, or the one that TROUPE_POWER_SEED names.
inline PowerLossCounts lose_power(uint64_t count) {
  constexpr uint64_t kReplays = 50;
  const TempDir dir;
  PowerLossCounts counts;
  const auto run = [&](uint64_t seed) {
    const std::string replay = "TROUPE_POWER_SEED=" + std::to_string(seed);
    CAPTURE(replay);
    PowerLossHistory(seed, dir.file("disk"), counts).run();
  };
  if (const char* asked = std::getenv("TROUPE_POWER_SEED")) {
    for (uint64_t i = 0; i < kReplays; ++i) run(std::strtoull(asked, nullptr, 10));
  } else {
    for (uint64_t seed = 0; seed < count; ++seed) run(seed);
  }
  MESSAGE(counts.text());
  return counts;
}

// The first opening of a store meets `fault` at its `call`-th call, and the power is lost after the
// first commit. False when there is no such call.
inline bool lose_new_store(LossyDisk::Fault fault, uint64_t call, const std::string& folder) {
  fs::remove_all(folder);
  fs::create_directories(folder);
  LossyDisk disk(folder, call);
  disk.arm({.fault = fault, .count = call});
  auto store = actors::ReplayStore::open(folder + "/store");
  disk.disarm();
  const bool is_met = disk.met().has_value();
  if (!store || disk.is_off()) {
    REQUIRE(is_met);
    if (store) store->reset();
    if (disk.is_off()) disk.restart();
    store = actors::ReplayStore::open(folder + "/store");
    REQUIRE_MESSAGE(store, (store ? "" : store.error().message));
  }
  REQUIRE((*store)->begin_epoch(1));
  const actors::Batch batch = numbered_batch(1, 1, 1);
  REQUIRE((*store)->commit({&batch, 1})[0]);
  disk.lose_power();
  store->reset();
  disk.restart();
  store = actors::ReplayStore::open(folder + "/store");
  REQUIRE_MESSAGE(store, (store ? "" : store.error().message));
  const auto record = (*store)->find(batch.writes[0].key);
  REQUIRE(record);
  REQUIRE_MESSAGE(record->has_value(), "the store is gone");
  REQUIRE(*(*store)->begin_epoch(1) == 2);
  return is_met;
}

// A learner's state, small and different for each version.
inline model::LearnerState numbered_state(const model::ParameterLayout& layout, uint64_t version) {
  model::LearnerState state;
  state.masters = lively_parameters(tiny_config(), layout, version);
  state.m = lively_parameters(tiny_config(), layout, version + 10);
  state.v = lively_parameters(tiny_config(), layout, version + 20);
  state.beta1_power = 0.9 / static_cast<double>(version);
  state.beta2_power = 0.99 / static_cast<double>(version);
  return state;
}

// What a rank holds that owns these floats.
inline model::LearnerState part_of(const model::LearnerState& whole, const model::FloatRange& own) {
  model::LearnerState part = whole;
  for (auto member :
       {&model::LearnerState::masters, &model::LearnerState::m, &model::LearnerState::v}) {
    const auto& values = whole.*member;
    part.*member = {values.begin() + own.begin, values.begin() + own.end};
  }
  return part;
}

// What a learner and its controller do for a recovery point that holds an older version, which was
// published and never synced.
inline Result<PointRecord> save_point(const actors::Checkpoints& checkpoints,
                                      const std::string& policies, const model::LearnerState& state,
                                      uint64_t version) {
  const PolicyFile policy{PolicyVersion{version - 1}, policies + "/of_" + std::to_string(version)};
  if (Status made = model::create_folders(policies); !made) return made.error();
  std::error_code ignored;
  fs::remove(policy.path, ignored);
  Status published = model::write_policy_file(policy.path, tiny_config(), state.v);
  if (!published) return published.error();
  const std::string folder = checkpoints.begin(PolicyVersion{version});
  // Two ranks, which share no file.
  const auto num_floats = static_cast<int64_t>(state.masters.size());
  PointWritten written{.version = PolicyVersion{version},
                       .weights_sha256 = model::checkpoint_sha256(tiny_config(), state.masters)};
  for (int rank = 0; rank < 2; ++rank) {
    const model::FloatRange own{rank * num_floats / 2, (rank + 1) * num_floats / 2};
    const auto files = model::save_point_part(folder, rank, 2, own, part_of(state, own));
    if (!files) return files.error();
    written.files.insert(written.files.end(), files->begin(), files->end());
  }
  const auto whole = model::save_point_checkpoint(
      folder, {.config = tiny_config(), .values = state.masters}, std::span(&policy, 1));
  if (!whole) return whole.error();
  written.files.insert(written.files.end(), whole->files.begin(), whole->files.end());
  written.policies = whole->policies;
  return checkpoints.finish(written, 2);
}

// Saving the second recovery point, whose record will be `wanted`, meets `fault` at its `call`-th
// call, then the power is lost. False when there is no such call.
inline bool lose_point(LossyDisk::Fault fault, uint64_t call, const std::string& folder,
                       const PointRecord& wanted) {
  fs::remove_all(folder);
  fs::create_directories(folder);
  const model::ParameterLayout layout(tiny_config());
  const auto first = numbered_state(layout, 1);
  const auto second = numbered_state(layout, 2);
  LossyDisk disk(folder, call);
  const actors::Checkpoints checkpoints(folder + "/home", 1);
  REQUIRE(model::create_folders(folder + "/home/checkpoints"));
  const auto loads = [&](const PointRecord& point, const model::LearnerState& state) {
    const std::string path = checkpoints.path(point);
    const auto found = model::load_recovery_point(path, point, layout, false);
    return model::verify_recovery_point(path, point) && found && found->masters == state.masters &&
           found->m == state.m && found->v == state.v;
  };
  const std::string policies = folder + "/home/policies";
  const auto one = save_point(checkpoints, policies, first, 1);
  REQUIRE(one);
  disk.arm({.fault = fault, .count = call});
  const auto two = save_point(checkpoints, policies, second, 2);
  const bool is_met = disk.met().has_value();
  REQUIRE((two || is_met));
  disk.lose_power();
  disk.restart();
  REQUIRE_MESSAGE(loads(*one, first), "a point that was announced is lost");
  if (two) {
    REQUIRE_MESSAGE(loads(*two, second), "a point that was announced is lost");
  } else {
    PointRecord point = wanted;
    point.folder = "step_2";
    const bool is_named = fs::exists(checkpoints.path(point));
    if (is_named) REQUIRE_MESSAGE(loads(point, second), "a part of a point has its name");
  }
  // Who goes on clears up, and may save it again.
  checkpoints.sweep({*one});
  const auto again = save_point(checkpoints, policies, second, 2);
  REQUIRE(again);
  disk.lose_power();
  disk.restart();
  REQUIRE(loads(*one, first));
  REQUIRE(loads(*again, second));
  return is_met;
}

inline void lose_points(const std::vector<LossyDisk::Fault>& faults) {
  const TempDir dir;
  const auto wanted = save_point(actors::Checkpoints(dir.file("other"), 1), dir.file("policies"),
                                 numbered_state(model::ParameterLayout(tiny_config()), 2), 2);
  REQUIRE(wanted);
  for (const LossyDisk::Fault fault : faults) {
    uint64_t call = 1;
    CAPTURE(static_cast<int>(fault));
    CAPTURE(call);
    while (lose_point(fault, call, dir.file("disk"), *wanted)) ++call;
    CHECK(call > 15);
  }
}

// Losing power much and having much to lose.
inline void check_power_losses(const PowerLossCounts& counts, uint64_t count) {
  if (std::getenv("TROUPE_POWER_SEED") != nullptr) return;
  CHECK(counts.histories == count);
  CHECK(counts.acknowledged > 10 * count);
  CHECK(counts.losses > 2 * count);
  CHECK(counts.losses_while_opening > 0);
  CHECK(counts.unknown_kept > 0);
  CHECK(counts.unknown_lost > 0);
  CHECK(counts.errors > 0);
  CHECK(counts.acknowledged_after_error > 0);
}

// Every fault was met at every kind of call that matters, and all that is counted happened.
inline void check_all_met(const PowerLossCounts& counts) {
  if (std::getenv("TROUPE_POWER_SEED") != nullptr) return;
  for (const auto& [name, number] : counts.named()) {
    CAPTURE(name);
    CHECK(number > 0);
  }
  for (const std::string met :
       {"power at write log",     "power at sync log",        "power at create log",
        "power at remove log",    "power at write sst",       "power at sync sst",
        "power at create sst",    "power at remove sst",      "power at write MANIFEST",
        "power at sync MANIFEST", "power at create MANIFEST", "power at rename CURRENT",
        "power at write mark",    "power at sync mark",       "power at sync folder",
        "kill at sync log",       "kill at sync mark",        "error at write log",
        "error at sync log",      "error at write mark",      "error at sync mark",
        "error at sync sst",      "error at write MANIFEST",  "error at sync MANIFEST",
        "error at sync folder"}) {
    CAPTURE(met);
    CHECK(counts.met.count(met) == 1);
  }
}

}  // namespace troupe::tests
