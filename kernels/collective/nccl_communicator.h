// A communicator whose bytes lie on GPUs: NCCL moves them. What ranks say to each other beside
// that, also who is missing, goes over a mesh of the same team.
//
// NCCL adds nothing up: sums are their callers', in an order of theirs.
#pragma once

#include <memory>

#include "kernels/collective/communicator.h"
#include "kernels/collective/mesh.h"
#include "kernels/collective/nccl_library.h"

namespace troupe::kernels::collective {

// What has to be known of a device's streams.
class StreamEvents {
 public:
  virtual ~StreamEvents() = default;
  // NCCL's name for it: a cudaStream_t.
  virtual void* native(Stream* stream) = 0;
  // A mark behind all work that the stream has been given; the last one of a stream counts.
  virtual Status mark(Stream* stream) = 0;
  // Whether the stream has come to its mark. kInternal: the device has failed.
  virtual Result<bool> has_passed(Stream* stream) = 0;
};

// This rank in a team that has such communicators. What they call goes over the mesh's channels,
// which carry nothing else.
class NcclTeam {
 public:
  NcclTeam(std::shared_ptr<const NcclLibrary> library, std::shared_ptr<StreamEvents> events,
           std::shared_ptr<Mesh> mesh);
  ~NcclTeam();

  Mesh& mesh() const;

  class Impl;

 private:
  friend std::unique_ptr<Communicator> communicator(std::shared_ptr<NcclTeam> team, int channel);
  std::unique_ptr<Impl> impl_;
};

// All ranks of the team, on one channel. Lives on with the team. The ranks of it, and of each of
// its subsets, meet in their first operation, which therefore takes seconds.
//
// Ranks that call different operations, or with sizes that differ, wait for each other until the
// deadline; then each says what it had called, and all are told.
std::unique_ptr<Communicator> communicator(std::shared_ptr<NcclTeam> team, int channel);

}  // namespace troupe::kernels::collective
