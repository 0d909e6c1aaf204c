#include "kernels/collective/loopback.h"

#include <fmt/format.h>

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>

#include "schemas/check.h"

namespace troupe::kernels::collective {
namespace {

// One rank's operation, for as long as it is under way.
struct Turn {
  Turn(const Transfer& its_transfer, int its_rank, int its_channel)
      : transfer(its_transfer),
        rank(its_rank),
        channel(its_channel),
        is_taken(its_transfer.ranks.size()),
        is_given(its_transfer.ranks.size()),
        open(2 * (its_transfer.ranks.size() - 1)) {}

  std::optional<size_t> place_of(int other) const {
    for (size_t i = 0; i < transfer.ranks.size(); ++i) {
      if (transfer.ranks[i] == other) return i;
    }
    return std::nullopt;
  }
  // The first rank that this one has not taken from, or else that has not taken from it.
  int waits_for() const {
    for (const auto* is_done : {&is_taken, &is_given}) {
      for (size_t i = 0; i < is_done->size(); ++i) {
        if (i != transfer.me && !(*is_done)[i]) return transfer.ranks[i];
      }
    }
    return -1;
  }

  const Transfer& transfer;
  const int rank;
  const int channel;
  std::vector<bool> is_taken;  // By rank of the group: its bytes are here.
  std::vector<bool> is_given;  // It has taken what is here.
  size_t open;                 // Of both, not done yet.
  int readers = 0;             // Ranks that copy from here just now.
};

// What the ranks share. An operation stays until all of its other ranks have taken from it, so who
// looks at a rank finds the operation that it is to take from, an earlier one of other ranks, or
// none yet.
class Team {
 public:
  Team(int num_ranks, int num_channels)
      : num_ranks_(num_ranks),
        num_channels_(num_channels),
        turns_(static_cast<size_t>(num_ranks) * static_cast<size_t>(num_channels)),
        progress_(turns_.size()),
        has_left_(static_cast<size_t>(num_ranks)) {}

  int num_ranks() const { return num_ranks_; }
  int num_channels() const { return num_channels_; }

  Status run(int rank, int channel, const Transfer& transfer) {
    Turn turn(transfer, rank, channel);
    std::unique_lock lock(mutex_);
    const size_t at = index(rank, channel);
    TROUPE_CHECK(turns_[at] == nullptr);
    ++progress_[at].begun;
    progress_[at].under_way = transfer.kind;
    turns_[at] = &turn;
    changed_.notify_all();
    while (turn.open > 0 && !ended_) {
      if (!take_one(lock, turn)) wait(lock, turn);
    }
    // Also when the team has ended: this memory is read until then.
    while (turn.readers > 0) changed_.wait(lock);
    turns_[at] = nullptr;
    if (turn.open > 0) return error_of(turn);
    ++progress_[at].done;
    progress_[at].under_way = Collective::kNone;
    progress_[at].waits_for = -1;
    return ok();
  }

  void end(const Error& reason) {
    const std::lock_guard lock(mutex_);
    end_locked(reason);
  }

  std::optional<Error> ended() const {
    const std::lock_guard lock(mutex_);
    return ended_;
  }

  void leave(int rank) {
    const std::lock_guard lock(mutex_);
    has_left_[static_cast<size_t>(rank)] = true;
    changed_.notify_all();
  }

  Progress progress(int rank, int channel) {
    const std::lock_guard lock(mutex_);
    return progress_[index(rank, channel)];
  }

 private:
  size_t index(int rank, int channel) const {
    return static_cast<size_t>(rank) * static_cast<size_t>(num_channels_) +
           static_cast<size_t>(channel);
  }

  void end_locked(const Error& reason) {
    if (!ended_) ended_ = reason;
    changed_.notify_all();
  }

  Error error_of(const Turn& turn) const {
    return {ended_->code,
            fmt::format("{}: {}", describe(turn.transfer, turn.channel), ended_->message)};
  }

  // Takes from one rank that is ready. False when none is, or when the team has ended.
  bool take_one(std::unique_lock<std::mutex>& lock, Turn& turn) {
    for (size_t i = 0; i < turn.is_taken.size(); ++i) {
      if (i == turn.transfer.me || turn.is_taken[i]) continue;
      const int other = turn.transfer.ranks[i];
      Turn* theirs = turns_[index(other, turn.channel)];
      const auto place = theirs != nullptr ? theirs->place_of(turn.rank) : std::nullopt;
      // Another rank's business, or one that this rank has taken from and that is not awake yet.
      if (!place || theirs->is_given[*place]) continue;
      const Call said = theirs->transfer.call(*place), ours = turn.transfer.call(i);
      if (const auto text = disagreement({turn.rank, ours}, {other, said})) {
        end_locked({ErrorCode::kInternal, *text});
        return false;
      }
      take(lock, turn, i, *theirs, *place);
      return true;
    }
    return false;
  }

  void take(std::unique_lock<std::mutex>& lock, Turn& turn, size_t from, Turn& theirs,
            size_t place) {
    const auto bytes = static_cast<size_t>(theirs.transfer.from[place].bytes);
    std::byte* to = turn.transfer.destination(from, bytes);
    ++theirs.readers;
    lock.unlock();
    if (bytes > 0) std::memcpy(to, theirs.transfer.source(place), bytes);
    lock.lock();
    --theirs.readers;
    turn.is_taken[from] = true;
    --turn.open;
    theirs.is_given[place] = true;
    --theirs.open;
    changed_.notify_all();
  }

  // Until something has changed. Ends the team at the deadline, and when a rank that is waited for
  // has left.
  void wait(std::unique_lock<std::mutex>& lock, const Turn& turn) {
    if (ended_) return;
    const int missing = turn.waits_for();
    progress_[index(turn.rank, turn.channel)].waits_for = missing;
    for (size_t i = 0; i < turn.is_taken.size(); ++i) {
      const int other = turn.transfer.ranks[i];
      if (i == turn.transfer.me || !has_left_[static_cast<size_t>(other)]) continue;
      if (turn.is_taken[i] && turn.is_given[i]) continue;
      end_locked({ErrorCode::kUnavailable, fmt::format("rank {} has left", other)});
      return;
    }
    if (changed_.wait_until(lock, turn.transfer.deadline) == std::cv_status::no_timeout) return;
    if (turn.open == 0 || turn.waits_for() != missing) return;
    end_locked({ErrorCode::kUnavailable,
                fmt::format("rank {} waited for rank {} until its deadline", turn.rank, missing)});
  }

  const int num_ranks_;
  const int num_channels_;
  mutable std::mutex mutex_{};
  std::condition_variable changed_{};
  std::vector<Turn*> turns_;  // By rank and channel; null between operations.
  std::vector<Progress> progress_;
  std::vector<bool> has_left_;
  std::optional<Error> ended_{};
};

class LoopbackMesh final : public Mesh {
 public:
  LoopbackMesh(std::shared_ptr<Team> team, int rank) : team_(std::move(team)), rank_(rank) {
    make_numbers(team_->num_channels());
  }
  ~LoopbackMesh() override { team_->leave(rank_); }

  int rank() const override { return rank_; }
  int size() const override { return team_->num_ranks(); }
  int num_channels() const override { return team_->num_channels(); }
  Status run(int channel, const Transfer& transfer) override {
    return team_->run(rank_, channel, transfer);
  }
  void give_up(const Error& reason) override { team_->end(reason); }
  std::optional<Error> ended() const override { return team_->ended(); }
  Progress progress(int channel) const override { return team_->progress(rank_, channel); }

 private:
  const std::shared_ptr<Team> team_;
  const int rank_;
};

}  // namespace

std::vector<std::shared_ptr<Mesh>> loopback_team(int num_ranks, int num_channels) {
  TROUPE_CHECK(num_ranks >= 1 && num_ranks <= kRanksMax);
  TROUPE_CHECK(num_channels >= 1 && num_channels <= kChannelsMax);
  const auto team = std::make_shared<Team>(num_ranks, num_channels);
  std::vector<std::shared_ptr<Mesh>> all;
  for (int rank = 0; rank < num_ranks; ++rank) {
    all.push_back(std::make_shared<LoopbackMesh>(team, rank));
  }
  return all;
}

}  // namespace troupe::kernels::collective
