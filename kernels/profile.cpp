#include "kernels/profile.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <utility>

namespace troupe::kernels {
namespace {

// clang-format off
#define TROUPE_PROFILED_OPERATIONS(X) \
  X(copy) X(fill_zero) X(pack) X(store) X(round_bf16) \
  X(gemm) X(grouped_gemm) X(weight_gradient) X(grouped_weight_gradient) \
  X(rmsnorm) X(rmsnorm_backward) X(mla_query) X(mla_query_backward) \
  X(mla_latent) X(mla_latent_backward) X(head_rows) X(head_rows_backward) X(add_bias) \
  X(bias_gradient) X(attention) X(attention_backward) \
  X(gate) X(gate_backward) X(route) X(combine_experts) X(swiglu) X(swiglu_backward) \
  X(embedding) X(embedding_backward) X(token_logprob) X(token_logprob_backward) \
  X(sample) X(add) X(square_sums) X(adamw)
// clang-format on

enum Operation : size_t {
#define TROUPE_ENUMERATOR(name) k_##name,
  TROUPE_PROFILED_OPERATIONS(TROUPE_ENUMERATOR)
#undef TROUPE_ENUMERATOR
      kNumOperations,
};

// Functions of the table are plain pointers, so what they call and count cannot be theirs.
Backend original;
struct Counter {
  std::atomic<int64_t> nanoseconds{0};
  std::atomic<int64_t> calls{0};
};
std::array<Counter, kNumOperations> counters;

class Measured {
 public:
  explicit Measured(Operation operation) : operation_(operation) {}
  ~Measured() {
    const auto taken = std::chrono::steady_clock::now() - start_;
    counters[operation_].nanoseconds.fetch_add(
        std::chrono::duration_cast<std::chrono::nanoseconds>(taken).count(),
        std::memory_order_relaxed);
    counters[operation_].calls.fetch_add(1, std::memory_order_relaxed);
  }
  Measured(const Measured&) = delete;
  Measured& operator=(const Measured&) = delete;

 private:
  Operation operation_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// The function that stands in for the member `kMember` of the table.
template <auto kMember, Operation kOperation, class... Args>
void (*stand_in(void (*)(Args...)))(Args...) {
  return [](Args... args) {
    const Measured measured(kOperation);
    (original.*kMember)(std::forward<Args>(args)...);
  };
}

}  // namespace

Backend profiled(const Backend& backend) {
  original = backend;
  for (auto& counter : counters) {
    counter.nanoseconds = 0;
    counter.calls = 0;
  }
  Backend table = backend;
#define TROUPE_STAND_IN(name) table.name = stand_in<&Backend::name, k_##name>(backend.name);
  TROUPE_PROFILED_OPERATIONS(TROUPE_STAND_IN)
#undef TROUPE_STAND_IN
  return table;
}

std::vector<OperationTime> operation_times() {
  static constexpr const char* kNames[] = {
#define TROUPE_NAME(name) #name,
      TROUPE_PROFILED_OPERATIONS(TROUPE_NAME)
#undef TROUPE_NAME
  };
  std::vector<OperationTime> times;
  for (size_t i = 0; i < kNumOperations; ++i) {
    times.push_back({.name = kNames[i],
                     .seconds = static_cast<double>(counters[i].nanoseconds.load()) * 1e-9,
                     .calls = counters[i].calls.load()});
  }
  std::sort(times.begin(), times.end(), [](const OperationTime& a, const OperationTime& b) {
    return a.seconds != b.seconds ? a.seconds > b.seconds : a.name < b.name;
  });
  return times;
}

}  // namespace troupe::kernels
