// The store and its writer in memory, with their promises: batches are atomic and in order, an
// older epoch is refused, what is acknowledged stays. A crash keeps some beginning of what was
// under way. It knows what history is and refuses, with a Violation, what contradicts it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "actors/replay/replay_store.h"
#include "schemas/metrics_codec.h"
#include "schemas/records_codec.h"
#include "tests/sim/simulated_clock.h"

namespace troupe::tests {

class StoreModel : public actors::RecordReader {
 public:
  using RecordKind = actors::RecordKind;
  using RecordKey = actors::RecordKey;

  explicit StoreModel(SimulatedClock& clock) : clock_(clock) {}

  // What rules a job's history has; before its first batch.
  void expect_job(uint64_t job, const JobSpec& spec) { specs_[job] = &spec; }

  Result<std::optional<actors::StoredRecord>> find(const RecordKey& key) const override {
    const auto found = records_.find(key);
    if (found == records_.end()) return std::optional<actors::StoredRecord>();
    return std::optional(found->second);
  }
  Result<std::vector<actors::StoredRecord>> list(uint64_t job, RecordKind kind, uint64_t first,
                                                 uint64_t end) const override {
    std::vector<actors::StoredRecord> found;
    for (auto it = records_.lower_bound({job, kind, first, 0}); it != records_.end(); ++it) {
      if (it->first.job != job || it->first.kind != kind || it->first.number >= end) break;
      found.push_back(it->second);
    }
    return found;
  }
  std::vector<actors::StoredRecord> all(uint64_t job, RecordKind kind) const {
    auto found = list(job, kind, 0, UINT64_MAX);
    return std::move(*found);
  }
  // Of a record that there is.
  const std::vector<std::byte>& value(const RecordKey& key) const { return records_.at(key).value; }
  std::vector<uint64_t> jobs() const {
    std::vector<uint64_t> found;
    for (const auto& [key, record] : records_) {
      if (key.kind == RecordKind::kJob) found.push_back(key.job);
    }
    return found;
  }
  bool has(const RecordKey& key) const { return records_.count(key) > 0; }
  // Everything of these kinds that was ever recorded, forgotten records included.
  std::vector<actors::StoredRecord> archive(uint64_t job) const {
    std::vector<actors::StoredRecord> found;
    for (const auto& [key, record] : archive_) {
      if (key.job == job) found.push_back(record);
    }
    return found;
  }
  void restore(const std::vector<actors::StoredRecord>& records) {
    for (const auto& record : records) {
      check({record.key, record.value});
      records_[record.key] = record;
    }
  }
  // Of the job's last writer.
  uint64_t epoch(uint64_t job) const {
    const auto found = epochs_.find(job);
    return found == epochs_.end() ? 0 : found->second;
  }

  // The writer: in order, each answered after a sync.
  void submit(actors::Batch batch, std::function<void(Status)> done) {
    queue_.push_back({.batch = std::move(batch), .done = std::move(done), .epoch_of = {}});
    sync_soon();
  }
  void begin_epoch(uint64_t job, std::function<void(uint64_t)> done) {
    queue_.push_back({.batch = {}, .epoch_done = std::move(done), .epoch_of = job});
    sync_soon();
  }
  void read(std::function<void()> look) {
    queue_.push_back({.batch = {}, .look = std::move(look), .epoch_of = {}});
    sync_soon();
  }

  // The process is gone. Returns how many batches were lost.
  size_t crash() {
    ++incarnation_;
    is_syncing_ = false;
    const size_t kept = queue_.empty() ? 0 : clock_.below(queue_.size() + 1);
    size_t lost = 0;
    for (size_t i = 0; i < queue_.size(); ++i) {
      if (i < kept) {
        static_cast<void>(apply(queue_[i]));
      } else if (!queue_[i].look) {
        ++lost;
      }
    }
    queue_.clear();
    return lost;
  }

 private:
  struct Item {
    actors::Batch batch{};
    std::function<void(Status)> done{};
    std::function<void()> look{};
    std::function<void(uint64_t)> epoch_done{};
    std::optional<uint64_t> epoch_of{};
  };
  // What a job's history has been so far, forgotten records included.
  struct Past {
    uint64_t last_step = 0;
    std::set<GroupId> groups{};
    std::set<GroupId> dropped{};
    std::set<GroupId> consumed{};
    std::set<std::pair<uint64_t, uint32_t>> evaluations{};
  };

  void sync_soon() {
    if (is_syncing_) return;
    is_syncing_ = true;
    const double patience = clock_.chance(0.03) ? 1.0 : 0.05;
    clock_.after(clock_.uniform(0.002, patience), [this, incarnation = incarnation_] {
      if (incarnation == incarnation_) sync();
    });
  }

  // Whatever came so far is made durable together; who asked hears of it in order.
  void sync() {
    is_syncing_ = false;
    auto items = std::exchange(queue_, {});
    for (Item& item : items) {
      const auto [status, epoch] = apply(item);
      if (item.done) item.done(status);
      if (item.epoch_done) item.epoch_done(epoch);
      if (item.look) item.look();
    }
  }

  std::pair<Status, uint64_t> apply(const Item& item) {
    if (item.look) return {ok(), 0};
    if (item.epoch_of) return {ok(), ++epochs_[*item.epoch_of]};
    const actors::Batch& batch = item.batch;
    if (batch.epoch != epochs_[batch.job]) {
      return {Error{ErrorCode::kStaleEpoch, "an older writer"}, 0};
    }
    for (const auto& erase : batch.erases) {
      records_.erase(records_.lower_bound({batch.job, erase.kind, erase.first, 0}),
                     records_.lower_bound({batch.job, erase.kind, erase.end, 0}));
    }
    for (const auto& write : batch.writes) {
      check(write);
      records_[write.key] = {write.key, batch.epoch, ++commits_, write.value};
      const RecordKind kind = write.key.kind;
      if (kind == RecordKind::kRound || kind == RecordKind::kGroup || kind == RecordKind::kDrop ||
          kind == RecordKind::kEvaluation) {
        archive_[write.key] = records_[write.key];
      }
      clock_.trace("record", static_cast<uint64_t>(write.key.kind), write.key.number);
    }
    for (const auto& erase : batch.erases) check_erased(batch.job, erase);
    return {ok(), 0};
  }

  void check(const actors::Write& write) {
    const RecordKey& key = write.key;
    Past& past = past_[key.job];
    const GroupId id{Round{key.number}, key.ordinal};
    if (key.kind == RecordKind::kGroup) {
      require(past.groups.insert(id).second, "a group was recorded twice");
      require(past.dropped.count(id) == 0, "a dropped group was recorded");
      check_versions(key.job, write);
    } else if (key.kind == RecordKind::kDrop) {
      require(past.dropped.insert(id).second, "a group was dropped twice");
      require(past.groups.count(id) == 0, "a group that was recorded was dropped");
    } else if (key.kind == RecordKind::kEvaluation) {
      require(past.evaluations.insert({key.number, key.ordinal}).second,
              "an evaluation was recorded twice");
    } else if (key.kind == RecordKind::kStep) {
      require(key.number == past.last_step + 1, "steps are not recorded one after another");
      past.last_step = key.number;
      const auto step = decode_step_record(write.value);
      require(static_cast<bool>(step), "a step cannot be read");
      for (const GroupId& one : step->consumed) {
        require(past.consumed.insert(one).second, "two steps consumed one group");
        require(has({key.job, RecordKind::kGroup, number(one.round), one.ordinal}),
                "a step consumed a group that is not in the store");
        check_staleness(*specs_.at(key.job), *step, one,
                        records_.at({key.job, RecordKind::kGroup, number(one.round), one.ordinal}));
      }
    }
  }

  // A group is by the version that its round says, whoever generated it and when; where the
  // schedule is asynchronous, by none that is older.
  void check_versions(uint64_t job, const actors::Write& write) {
    const JobSpec& spec = *specs_.at(job);
    const auto group = decode_group_record(write.value);
    require(static_cast<bool>(group), "a group cannot be read");
    const int64_t M = spec.grpo.minibatches_per_round;
    const PolicyVersion expected =
        generating_version(Round{write.key.number}, static_cast<uint64_t>(spec.sft.steps),
                           static_cast<uint64_t>(M), rounds_ahead(spec.schedule, M));
    for (const Trajectory& trajectory : group->trajectories) {
      const bool is_async = spec.schedule.mode == "async";
      PolicyVersion last = trajectory.versions.front().version;
      require(is_async ? last >= expected : last == expected,
              "a group was generated by another version than its round's");
      require(is_async || trajectory.versions.size() == 1, "a group is by two versions");
      for (const VersionRange& range : trajectory.versions) {
        require(range.version >= last, "a group went back to an older version");
        last = range.version;
      }
    }
  }

  // No token that is learned is by a policy that is too far behind.
  void check_staleness(const JobSpec& spec, const StepRecord& step, const GroupId& id,
                       const actors::StoredRecord& stored) {
    if (spec.schedule.mode != "async") return;
    const auto group = decode_group_record(stored.value);
    for (const Trajectory& trajectory : group->trajectories) {
      require(trajectory.id.group == id, "a group is recorded as another");
      const PolicyVersion learner{number(step.metrics.version) - 1};
      require(staleness(learner, trajectory.versions.front().version) <=
                  static_cast<uint64_t>(spec.schedule.staleness_max_steps),
              "a token was learned that is too stale");
    }
  }

  // Groups may be forgotten once every recovery point is past their round.
  void check_erased(uint64_t job, const actors::Erase& erase) {
    if (erase.kind != RecordKind::kGroup || erase.end == 0) return;
    const JobSpec& spec = *specs_.at(job);
    const auto points = records_.lower_bound({job, RecordKind::kPoint, 0, 0});
    require(points != records_.end() && points->first.kind == RecordKind::kPoint,
            "groups were forgotten without a recovery point");
    require(points->first.number >=
                static_cast<uint64_t>(spec.sft.steps) +
                    erase.end * static_cast<uint64_t>(spec.grpo.minibatches_per_round),
            "groups were forgotten that a recovery point needs");
  }

  SimulatedClock& clock_;
  std::map<uint64_t, const JobSpec*> specs_{};
  std::map<RecordKey, actors::StoredRecord> records_{};
  std::map<RecordKey, actors::StoredRecord> archive_{};
  std::map<uint64_t, uint64_t> epochs_{};
  std::map<uint64_t, Past> past_{};
  std::deque<Item> queue_{};
  uint64_t commits_ = 0;
  uint64_t incarnation_ = 0;
  bool is_syncing_ = false;
};

}  // namespace troupe::tests
