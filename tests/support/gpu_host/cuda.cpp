// The library of GPUs for a machine without one: the CPU's operations under the name of a GPU's
// arithmetic. Which GPU each process was let see is a line of the file that TROUPE_TEST_GPU_LOG
// names:
// "<pid> <what CUDA_VISIBLE_DEVICES says>", of the head "<pid> all". TROUPE_TEST_GPU_LOSS=GPU-1 is
// one that every process but the head finds unusable.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/cpu/ceilings.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/workspace.h"
#include "kernels/cuda/plugin/plugin.h"
#include "tests/support/gpu_host/host_streams.h"

namespace {

const char* environment(const char* name, const char* otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : text;
}

}  // namespace

// One instruction set is enough: all have the same bits.
namespace troupe::kernels::cpu {

Backend avx2_operations() { return portable_operations(); }
Backend avx512_operations() { return portable_operations(); }
Backend avx512bf16_operations() { return portable_operations(); }
Backend amx_operations() { return portable_operations(); }
bool dot_is_two_links() { return false; }
double fma_loop_avx512(int64_t) { return 0; }
double dot_loop_avx512bf16(int64_t) { return 0; }

}  // namespace troupe::kernels::cpu

extern "C" __attribute__((visibility("default"))) const troupe::kernels::Backend*
troupe_cuda_backend(uint32_t version, const char** why) {
  const char* const gpu = environment("CUDA_VISIBLE_DEVICES", "all");
  if (version != troupe::kernels::kBackendVersion) {
    *why = "it is of another version of Troupe; build both together";
    return nullptr;
  }
  if (std::strcmp(gpu, environment("TROUPE_TEST_GPU_LOSS", "none")) == 0) {
    *why = "the GPU takes no work: it is lost";
    return nullptr;
  }
  static bool is_told = false;
  if (std::FILE* log = std::fopen(environment("TROUPE_TEST_GPU_LOG", "/dev/null"), "a");
      log != nullptr && !is_told) {
    std::fprintf(log, "%d %s\n", static_cast<int>(::getpid()), gpu);
    std::fclose(log);
    is_told = true;
  }
  static troupe::kernels::Backend table = **troupe::kernels::cpu_backend();
  table.name = "gpu_host";
  table.arithmetic_id = "cuda-sm90-1";
  return &table;
}

// What the CPU is asked for is done when the call returns; the host's version of NCCL says when its
// own is.
extern "C" __attribute__((visibility("default"))) const troupe::kernels::cuda::QueueCalls*
troupe_cuda_queue() {
  static troupe::tests::HostStreams streams;
  static const troupe::kernels::cuda::QueueCalls calls = {
      .native = [] { return streams.native(nullptr); },
      .mark = []() -> const char* { return nullptr; },
      .has_passed = [](const char**) { return *streams.has_passed(nullptr); },
  };
  return &calls;
}
