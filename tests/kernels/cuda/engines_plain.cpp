// Kernels as the host's compiler makes them, and as nvcc does where it was found.
#include "tests/kernels/cuda/engines.h"
#include "tests/support/simt/ptx.h"

namespace troupe::tests {
namespace {

using cuda_reference::TensorCore;

// TROUPE_PTX_80 and TROUPE_PTX_90 are lists of files, each in quotes; without nvcc there are none.
#ifdef TROUPE_PTX_80
std::vector<simt::ptx::Source> read_all(const std::vector<std::string>& paths) {
  std::vector<simt::ptx::Source> sources;
  for (const std::string& path : paths) sources.push_back(simt::ptx::read_source(path));
  return sources;
}

void add_ptx(std::vector<Engine>& engines) {
  static simt::PtxInterpreter ptx_80(read_all({TROUPE_PTX_80})), ptx_90(read_all({TROUPE_PTX_90}));
  engines.push_back({.name = "PTX, compute_80",
                     .tensor_core = TensorCore::kSm80,
                     .is_checked = true,
                     .interpreter = &ptx_80});
  engines.push_back({.name = "PTX, compute_90",
                     .tensor_core = TensorCore::kSm90,
                     .is_checked = true,
                     .interpreter = &ptx_90});
}
#else
void add_ptx(std::vector<Engine>&) {}
#endif

}  // namespace

const std::vector<Engine>& engines() {
  static const std::vector<Engine> all = [] {
    std::vector<Engine> engines = {
        {.name = "plain, sm_90", .tensor_core = TensorCore::kSm90},
        {.name = "plain, sm_80", .tensor_core = TensorCore::kSm80},
    };
    add_ptx(engines);
    return engines;
  }();
  return all;
}

}  // namespace troupe::tests
