// What carries operations between ranks: one object per rank, used by all of its channels. A new
// transport for host memory is a new Mesh; one that has collectives of its own (NCCL) is a
// Communicator.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/collective/call.h"
#include "kernels/collective/communicator.h"

namespace troupe::kernels::collective {

inline constexpr int kRanksMax = 4'096;
inline constexpr int kChannelsMax = 256;

// Every operation, in one form: some bytes to each rank of the group, and some from each.
struct Transfer {
  Collective kind = Collective::kNone;
  uint64_t group = 0;
  uint64_t number = 0;
  uint64_t argument = 0;
  std::span<const int> ranks{};  // Of the team, by rank of the group.
  size_t me = 0;                 // Which of them is this rank: its own part is not the mesh's work.
  Parts from{};                  // By rank of the group, as is `to`.
  Parts to{};
  // Instead of `to`: sized by what arrives, which is at most `argument` bytes.
  std::vector<std::vector<std::byte>>* received = nullptr;
  Deadline deadline{};

  // What is said to ranks[index].
  Call call(size_t index) const;
  const std::byte* source(size_t index) const;
  // Where `bytes` bytes of ranks[index] go; makes room for them in an exchange.
  std::byte* destination(size_t index, uint64_t bytes) const;
};

// "all_gather number 3 on channel 1"
std::string describe(const Transfer& transfer, int channel);

class Mesh {
 public:
  Mesh() = default;
  virtual ~Mesh() = default;
  Mesh(const Mesh&) = delete;
  Mesh& operator=(const Mesh&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual int num_channels() const = 0;

  // Returns when all is sent and received, or with the error that ended the team; no memory of the
  // transfer is touched afterwards. One at a time per channel.
  virtual Status run(int channel, const Transfer& transfer) = 0;

  // From any thread: ends the team here and says why to the other ranks.
  virtual void give_up(const Error& reason) = 0;
  // From any thread: why the team has ended; nothing: it has not.
  virtual std::optional<Error> ended() const = 0;

  // From any thread.
  virtual Progress progress(int channel) const = 0;

  // The number of the next operation of a group. By the channel's thread.
  uint64_t take_number(int channel, uint64_t group);

 protected:
  // Before anything else is called.
  void make_numbers(int num_channels) { numbers_.resize(static_cast<size_t>(num_channels)); }

 private:
  std::vector<std::map<uint64_t, uint64_t>> numbers_{};  // By channel and group.
};

// All ranks of the team, on one channel. Lives on with the mesh.
std::unique_ptr<Communicator> communicator(std::shared_ptr<Mesh> mesh, int channel);

}  // namespace troupe::kernels::collective
