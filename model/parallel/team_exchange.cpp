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

TeamExchange::TeamExchange(const kernels::Backend& backend, const ShardMap& shards, Seat seat)
    : backend_(backend), shards_(shards), seat_(seat) {
  if (seat.communicator == nullptr) return;
  int64_t largest = 0;
  for (int rank = 0; rank < seat.ranks(); ++rank) {
    largest = std::max(largest, shards.range_of(rank).count());
  }
  num_pieces_ = (largest + kPieceFloats - 1) / kPieceFloats;
  arrived_ = DeviceBuffer<float>(backend, seat.ranks() * std::min(largest, kPieceFloats));
}

FloatRange TeamExchange::piece(int rank, int64_t i) const {
  const FloatRange range = shards_.range_of(rank);
  const int64_t begin = std::min(range.begin + i * kPieceFloats, range.end);
  return {begin, std::min(begin + kPieceFloats, range.end)};
}

Status TeamExchange::sum_gradients(kernels::Stream* stream, Device<float> gradient) {
  if (seat_.communicator == nullptr) return ok();
  const int ranks = seat_.ranks();
  std::vector<Part> from(static_cast<size_t>(ranks)), to(from.size());
  for (int64_t i = 0; i < num_pieces_; ++i) {
    const FloatRange own = piece(seat_.rank(), i);
    const auto arrived = [&](int64_t rank) { return arrived_.get() + rank * own.count(); };
    for (int rank = 0; rank < ranks; ++rank) {
      const auto r = static_cast<size_t>(rank);
      from[r] = part_of(gradient, piece(rank, i));
      to[r] = part_of(arrived(rank), {0, own.count()});
    }
    Status moved = seat_.communicator->all_to_all(stream, from, to, deadline());
    if (!moved) return moved;
    add_as_tree(ranks, [&](int64_t sum, int64_t more) {
      backend_.add(stream, arrived(sum), arrived(more), own.count());
    });
    backend_.copy(stream, (gradient + own.begin).address, arrived(0).address,
                  own.count() * static_cast<int64_t>(sizeof(float)));
  }
  return ok();
}

Status TeamExchange::gather(kernels::Stream* stream, Device<float> values) {
  if (seat_.communicator == nullptr) return ok();
  std::vector<Part> to(static_cast<size_t>(seat_.ranks()));
  for (int64_t i = 0; i < num_pieces_; ++i) {
    for (int rank = 0; rank < seat_.ranks(); ++rank) {
      to[static_cast<size_t>(rank)] = part_of(values, piece(rank, i));
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
