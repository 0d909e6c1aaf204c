// The operations that no CUDA kernel does yet, by the CPU's portable ones: emulated memory is the
// host's, and both keep operands as bf16.
#include "kernels/cpu/cpu_backend.h"
#include "tests/support/cuda_emulated/cuda_emulated.h"

namespace troupe::tests {
namespace {

using kernels::Backend;
using kernels::Stream;

const Backend& portable() { return *kernels::cpu_backends().back(); }

// Larger than what any test asks for.
Stream* stream() {
  static Stream* one = portable().create_stream(kernels::Precision::kBf16, {.tokens_max = 512,
                                                                            .width_max = 512,
                                                                            .heads = 16,
                                                                            .key_width = 256,
                                                                            .value_width = 256,
                                                                            .context_max = 512,
                                                                            .experts = 16});
  return one;
}

template <auto kMember, class Args>
void fill(Backend& table, void (*Backend::*)(Stream*, const Args&)) {
  if (table.*kMember != nullptr) return;
  table.*kMember = [](Stream*, const Args& args) { (portable().*kMember)(stream(), args); };
}
template <auto kMember>
void fill(Backend& table) {
  fill<kMember>(table, kMember);
}

}  // namespace

void fill_with_cpu(Backend& table) {
  fill<&Backend::attention_backward>(table);
}

}  // namespace troupe::tests
