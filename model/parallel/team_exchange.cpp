#include "model/parallel/team_exchange.h"

#include <algorithm>

namespace troupe::model {

using kernels::Device;
using kernels::Part;

namespace {

Part part_of(Device<float> array, const FloatRange& range) {
  return {(array + range.begin).address, range.count() * static_cast<int64_t>(sizeof(float))};
}

}  // namespace

TeamExchange::TeamExchange(const kernels::Backend& backend, const ShardMap& shards,
                           const TeamLayout& team, Seat seat)
    : backend_(backend), shards_(shards), team_(team), seat_(seat) {
  if (seat.communicator == nullptr) return;
  const int most = std::max({team.groups(), team.members(), 8});
  piece_floats_ = std::max(kernels::kChunkElements, kPieceFloats * 8 / most);
  peers_ = seat.communicator->subset(team.ranks_of_member(team.member_of(seat.rank())));
  group_ = seat.communicator->subset(team.ranks_of_group(team.group_of(seat.rank())));
  int64_t largest = 0;
  for (int member = 0; member < team.members(); ++member) {
    largest = std::max(largest, range_of_member(member).count());
  }
  const int64_t floats = std::min(largest, piece_floats_);
  arrived_ = DeviceBuffer<float>(backend, std::max(team.groups(), team.members()) * floats);
  if (team.members() > 1) wave_ = SumInEights(backend, floats, team.members());
}

FloatRange TeamExchange::range_of_member(int member) const {
  const int first = member * team_.groups();
  return {shards_.range_of(first).begin, shards_.range_of(first + team_.groups() - 1).end};
}

FloatRange TeamExchange::piece(const FloatRange& range, int64_t i) const {
  const int64_t begin = std::min(range.begin + i * piece_floats_, range.end);
  return {begin, std::min(begin + piece_floats_, range.end)};
}

Status TeamExchange::sum_wave(kernels::Stream* stream, Device<float> mine,
                              const std::vector<bool>& is_there, Device<float> sum) {
  const auto members = static_cast<size_t>(team_.members());
  const auto me = static_cast<size_t>(team_.member_of(seat_.rank()));
  std::vector<FloatRange> ranges;
  int64_t largest = 0;
  for (size_t member = 0; member < members; ++member) {
    ranges.push_back(range_of_member(static_cast<int>(member)));
    largest = std::max(largest, ranges.back().count());
  }
  std::vector<Part> from(members), to(members);
  for (int64_t i = 0; i * piece_floats_ < largest; ++i) {
    const FloatRange own = piece(ranges[me], i);
    const auto arrived = [&](size_t member) {
      return arrived_.get() + static_cast<int64_t>(member) * own.count();
    };
    for (size_t member = 0; member < members; ++member) {
      from[member] = is_there[me] ? part_of(mine, piece(ranges[member], i)) : Part{};
      to[member] = is_there[member] ? part_of(arrived(member), {0, own.count()}) : Part{};
    }
    Status moved = group_->all_to_all(stream, from, to, deadline());
    if (!moved) return moved;
    for (size_t member = 0; member < members; ++member) {
      if (!is_there[member]) continue;
      wave_.add(stream, static_cast<int64_t>(member), arrived(member), own.count());
    }
    if (const auto wave = wave_.finish(stream, own.count())) {
      backend_.add(stream, sum + (own.begin - ranges[me].begin), *wave, own.count());
    }
  }
  return ok();
}

Status TeamExchange::sum_lanes(kernels::Stream* stream, Device<float> sum, Device<float> gradient) {
  if (seat_.communicator == nullptr) return ok();
  const std::vector<int> ranks = team_.ranks_of_member(team_.member_of(seat_.rank()));
  const int64_t first = own_range().begin;
  int64_t largest = 0;
  for (const int rank : ranks) largest = std::max(largest, shards_.range_of(rank).count());
  std::vector<Part> from(ranks.size()), to(ranks.size());
  for (int64_t i = 0; i * piece_floats_ < largest; ++i) {
    const FloatRange own = piece(shards_.range_of(seat_.rank()), i);
    const auto arrived = [&](int64_t group) { return arrived_.get() + group * own.count(); };
    for (size_t group = 0; group < ranks.size(); ++group) {
      const FloatRange theirs = piece(shards_.range_of(ranks[group]), i);
      from[group] = part_of(sum, {theirs.begin - first, theirs.end - first});
      to[group] = part_of(arrived(static_cast<int64_t>(group)), {0, own.count()});
    }
    Status moved = peers_->all_to_all(stream, from, to, deadline());
    if (!moved) return moved;
    add_as_tree(static_cast<int64_t>(ranks.size()), [&](int64_t to_add, int64_t more) {
      backend_.add(stream, arrived(to_add), arrived(more), own.count());
    });
    backend_.copy(stream, (gradient + own.begin).address, arrived(0).address,
                  own.count() * static_cast<int64_t>(sizeof(float)));
  }
  return ok();
}

Status TeamExchange::gather(kernels::Stream* stream, Device<float> values) {
  if (seat_.communicator == nullptr) return ok();
  int64_t largest = 0;
  for (int rank = 0; rank < seat_.ranks(); ++rank) {
    largest = std::max(largest, shards_.range_of(rank).count());
  }
  std::vector<Part> to(static_cast<size_t>(seat_.ranks()));
  for (int64_t i = 0; i * piece_floats_ < largest; ++i) {
    for (int rank = 0; rank < seat_.ranks(); ++rank) {
      to[static_cast<size_t>(rank)] = part_of(values, piece(shards_.range_of(rank), i));
    }
    Status moved = seat_.communicator->all_gather(stream, to[static_cast<size_t>(seat_.rank())], to,
                                                  deadline());
    if (!moved) return moved;
  }
  return ok();
}

Result<std::vector<std::vector<std::byte>>> TeamExchange::tell_all(std::span<const std::byte> mine,
                                                                   int64_t bytes_max) {
  if (seat_.communicator != nullptr) {
    return seat_.communicator->exchange(mine, bytes_max, deadline());
  }
  return std::vector<std::vector<std::byte>>{{mine.begin(), mine.end()}};
}

}  // namespace troupe::model
