// Which communicator a team of ranks has on the device that it computes on.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "kernels/collective/communicator.h"
#include "kernels/collective/mesh.h"
#include "schemas/result.h"

namespace troupe::kernels::collective {

// Libraries that are opened at run time; empty: those of device_backend.h and nccl_library.h.
struct DeviceLibraries {
  std::string gpus{};
  std::string nccl{};
};

// All ranks of the mesh, on one channel of it. Where this arithmetic is a processor's, the mesh
// itself moves the bytes; where it is a GPU's, NCCL does. kUnavailable: there is no NCCL, or the
// library of GPUs is another build's.
Result<std::unique_ptr<Communicator>> device_team(std::string_view arithmetic_id,
                                                  std::shared_ptr<Mesh> mesh, int channel,
                                                  const DeviceLibraries& libraries = {});

}  // namespace troupe::kernels::collective
