#include "kernels/collective/mesh.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "schemas/check.h"

namespace troupe::kernels::collective {
namespace {

class MeshCommunicator final : public Communicator {
 public:
  MeshCommunicator(std::shared_ptr<Mesh> mesh, int channel, std::vector<int> ranks,
                   std::shared_ptr<std::atomic<uint64_t>> bytes_sent)
      : mesh_(std::move(mesh)),
        channel_(channel),
        ranks_(std::move(ranks)),
        group_(group_of(ranks_)),
        none_(ranks_.size()),
        scratch_(ranks_.size()),
        bytes_sent_(std::move(bytes_sent)) {
    TROUPE_CHECK(channel >= 0 && channel < mesh_->num_channels());
    const auto found = std::find(ranks_.begin(), ranks_.end(), mesh_->rank());
    TROUPE_CHECK(found != ranks_.end());
    me_ = static_cast<size_t>(found - ranks_.begin());
  }

  int rank() const override { return static_cast<int>(me_); }
  int size() const override { return static_cast<int>(ranks_.size()); }

  Status all_to_all(Stream*, Parts from, Parts to, Deadline deadline) override {
    check(from);
    check(to);
    TROUPE_CHECK(from[me_].bytes == to[me_].bytes);
    copy(to[me_], from[me_]);
    return run(Collective::kAllToAll, 0, from, to, deadline);
  }

  Status all_gather(Stream*, Part from, Parts to, Deadline deadline) override {
    check(to);
    TROUPE_CHECK(from.bytes == to[me_].bytes);
    copy(to[me_], from);
    std::fill(scratch_.begin(), scratch_.end(), from);
    return run(Collective::kAllGather, 0, scratch_, to, deadline);
  }

  Status broadcast(Stream*, int root, Part part, Deadline deadline) override {
    TROUPE_CHECK(root >= 0 && root < size() && part.bytes >= 0);
    const auto root_index = static_cast<size_t>(root);
    const auto argument = static_cast<uint64_t>(ranks_[root_index]);
    std::fill(scratch_.begin(), scratch_.end(), root_index == me_ ? part : Part{});
    if (root_index == me_) {
      return run(Collective::kBroadcast, argument, scratch_, none_, deadline);
    }
    scratch_[root_index] = part;
    return run(Collective::kBroadcast, argument, none_, scratch_, deadline);
  }

  Result<std::vector<std::vector<std::byte>>> exchange(std::span<const std::byte> mine,
                                                       int64_t bytes_max,
                                                       Deadline deadline) override {
    TROUPE_CHECK(bytes_max >= 0);
    if (mine.size() > static_cast<size_t>(bytes_max)) {
      // The others wait for this rank, so it does not go on alone.
      const Error error{ErrorCode::kInternal,
                        fmt::format("rank {} has {} bytes to exchange and may have {}",
                                    mesh_->rank(), mine.size(), bytes_max)};
      mesh_->give_up(error);
      return error;
    }
    std::vector<std::vector<std::byte>> all(ranks_.size());
    all[me_].assign(mine.begin(), mine.end());
    std::fill(scratch_.begin(), scratch_.end(),
              Part{reinterpret_cast<uint64_t>(mine.data()), static_cast<int64_t>(mine.size())});
    Status status = run(Collective::kExchange, static_cast<uint64_t>(bytes_max), scratch_, none_,
                        deadline, &all);
    if (!status) return status.error();
    return all;
  }

  Status barrier(Deadline deadline) override {
    return run(Collective::kBarrier, 0, none_, none_, deadline);
  }

  std::unique_ptr<Communicator> subset(std::span<const int> ranks) const override {
    std::vector<int> chosen;
    for (const int rank : ranks) {
      TROUPE_CHECK(rank >= 0 && rank < size());
      chosen.push_back(ranks_[static_cast<size_t>(rank)]);
      TROUPE_CHECK(std::count(chosen.begin(), chosen.end(), chosen.back()) == 1);
    }
    return std::make_unique<MeshCommunicator>(mesh_, channel_, std::move(chosen), bytes_sent_);
  }

  void abort() override {
    mesh_->give_up({ErrorCode::kUnavailable, fmt::format("rank {} was aborted", mesh_->rank())});
  }

  Progress progress() const override {
    Progress progress = mesh_->progress(channel_);
    progress.bytes_sent = *bytes_sent_;
    return progress;
  }

 private:
  void check(Parts parts) const {
    TROUPE_CHECK(parts.size() == ranks_.size());
    for (const Part& part : parts) {
      TROUPE_CHECK(part.bytes >= 0 && static_cast<uint64_t>(part.bytes) <= kPartBytesMax);
    }
  }

  static void copy(const Part& to, const Part& from) {
    if (from.bytes == 0 || to.address == from.address) return;
    std::memmove(reinterpret_cast<void*>(to.address), reinterpret_cast<const void*>(from.address),
                 static_cast<size_t>(from.bytes));
  }

  Status run(Collective kind, uint64_t argument, Parts from, Parts to, Deadline deadline,
             std::vector<std::vector<std::byte>>* received = nullptr) {
    Status status = mesh_->run(channel_, {.kind = kind,
                                          .group = group_,
                                          .number = mesh_->take_number(channel_, group_),
                                          .argument = argument,
                                          .ranks = ranks_,
                                          .me = me_,
                                          .from = from,
                                          .to = to,
                                          .received = received,
                                          .deadline = deadline});
    for (size_t i = 0; status && i < from.size(); ++i) {
      if (i != me_) *bytes_sent_ += static_cast<uint64_t>(from[i].bytes);
    }
    return status;
  }

  const std::shared_ptr<Mesh> mesh_;
  const int channel_;
  const std::vector<int> ranks_;  // Of the team.
  const uint64_t group_;
  size_t me_ = 0;
  const std::vector<Part> none_;
  std::vector<Part> scratch_;
  const std::shared_ptr<std::atomic<uint64_t>> bytes_sent_;  // Of its subsets too.
};

}  // namespace

Call Transfer::call(size_t index) const {
  return {.kind = kind,
          .group = group,
          .number = number,
          .argument = argument,
          .sends = static_cast<uint64_t>(from[index].bytes),
          .expects = received != nullptr ? kAnyBytes : static_cast<uint64_t>(to[index].bytes)};
}

const std::byte* Transfer::source(size_t index) const {
  return reinterpret_cast<const std::byte*>(from[index].address);
}

std::byte* Transfer::destination(size_t index, uint64_t bytes) const {
  if (received == nullptr) return reinterpret_cast<std::byte*>(to[index].address);
  TROUPE_CHECK(bytes <= argument);
  (*received)[index].resize(static_cast<size_t>(bytes));
  return (*received)[index].data();
}

std::string describe(const Transfer& transfer, int channel) {
  return fmt::format("{} number {} on channel {}", name_of(transfer.kind), transfer.number,
                     channel);
}

uint64_t Mesh::take_number(int channel, uint64_t group) {
  return numbers_[static_cast<size_t>(channel)][group]++;
}

std::unique_ptr<Communicator> communicator(std::shared_ptr<Mesh> mesh, int channel) {
  std::vector<int> ranks;
  for (int rank = 0; rank < mesh->size(); ++rank) ranks.push_back(rank);
  return std::make_unique<MeshCommunicator>(std::move(mesh), channel, std::move(ranks),
                                            std::make_shared<std::atomic<uint64_t>>(0));
}

}  // namespace troupe::kernels::collective
