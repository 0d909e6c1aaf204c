// What is wrong with a kernel is found, and named; what is right gives no alarm.
#include <algorithm>
#include <set>

#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/kernels/cuda/faults.h"
#include "tests/support/cuda_reference/operations.h"

// planted.cmake makes them.
#define TROUPE_PLANTED_NORM(name)                         \
  namespace name {                                        \
  void rmsnorm(StreamHandle stream, const RmsNorm& args); \
  }
#define TROUPE_PLANTED_PRODUCT(name)                \
  namespace name {                                  \
  void gemm(StreamHandle stream, const Gemm& args); \
  }
namespace troupe::kernels::cuda {
TROUPE_PLANTED_NORM(norm_without_barrier)
TROUPE_PLANTED_NORM(norm_past_its_partials)
TROUPE_PLANTED_NORM(norm_shuffle_of_some)
TROUPE_PLANTED_NORM(norm_two_barriers)
TROUPE_PLANTED_NORM(norm_past_the_row)
TROUPE_PLANTED_NORM(norm_one_row)
TROUPE_PLANTED_PRODUCT(product_without_wait)
TROUPE_PLANTED_PRODUCT(product_waits_for_too_few)
TROUPE_PLANTED_PRODUCT(product_without_barrier)
TROUPE_PLANTED_PRODUCT(product_wrong_stage)
TROUPE_PLANTED_PRODUCT(product_without_tail)
TROUPE_PLANTED_PRODUCT(product_writes_too_much)
TROUPE_PLANTED_PRODUCT(product_misaligned)
}  // namespace troupe::kernels::cuda

namespace troupe::tests {
namespace {

using simt::Problem;
using simt::ProblemKind;

std::vector<Problem> problems_of(const Fault& fault, uint64_t seed) {
  const std::vector<float> host(256, 1);
  use(engines().front(), seed);
  const simt::Array<float> y(256), x(std::vector<float>(256, 2));
  simt::upload(y.get(), host.data(), sizeof(float));
  fault.launch({y.get(), x.get(), host.data()});
  return simt::take_problems();
}

bool has(const std::vector<Problem>& problems, ProblemKind kind) {
  return std::any_of(problems.begin(), problems.end(),
                     [&](const Problem& problem) { return problem.kind == kind; });
}

TEST_CASE("simt: faults are found under every schedule, as what they are and where") {
  for (int i = 0; i < kNumFaults; ++i) {
    const Fault& fault = kFaults[i];
    CAPTURE(std::string(fault.name));
    std::string first;
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      const std::vector<Problem> problems = problems_of(fault, seed);
      const std::string text = text_of(problems);
      if (first.empty()) first = problems.empty() ? "nothing" : problems.front().text;
      CAPTURE(seed);
      CAPTURE(text);
      CHECK(has(problems, fault.kind));
      CHECK(text.find("faults.cu:") != std::string::npos);
    }
    MESSAGE(std::string(fault.name) << ": " << first);
  }
}

TEST_CASE("simt: there is a fault of every kind") {
  std::set<std::string> kinds;
  for (int i = 0; i < kNumFaults; ++i) kinds.insert(simt::name(kFaults[i].kind));
  for (int kind = 0; kind <= static_cast<int>(ProblemKind::kWarpOperation); ++kind) {
    CAPTURE(kind);
    CHECK(kinds.count(simt::name(static_cast<ProblemKind>(kind))) == 1);
  }
}

TEST_CASE("simt: what is right gives no alarm") {
  for (int i = 0; i < kNumRightOnes; ++i) {
    CAPTURE(std::string(kRightOnes[i].name));
    for (uint64_t seed = 1; seed <= 32; ++seed) {
      CAPTURE(seed);
      const std::string text = text_of(problems_of(kRightOnes[i], seed));
      CHECK(text == "");
    }
  }
}

TEST_CASE("simt: memory that was released is out of bounds") {
  use(engines().front(), 1);
  float* gone = nullptr;
  {
    const simt::Array<float> y(256);
    gone = y.get();
  }
  kFaults[0].launch({gone - 1, nullptr, nullptr});  // Aligned now.
  CHECK(has(simt::take_problems(), ProblemKind::kOutOfBounds));
}

TEST_CASE("simt: the same seed is the same schedule, another is another") {
  std::vector<std::vector<Problem>> runs;
  for (const uint64_t seed : {5, 5, 6, 7, 8}) {
    use(engines().front(), seed);
    // Who comes first overwrites: which thread is reported depends on the schedule.
    runs.push_back(problems_of(kFaults[12], seed));
  }
  CHECK(text_of(runs[0]) == text_of(runs[1]));
  CHECK(std::any_of(runs.begin() + 2, runs.end(),
                    [&](const auto& run) { return text_of(run) != text_of(runs[0]); }));
}

// A real kernel with a fault in it. `runs` does what shows the fault.
struct Planted {
  const char* name;
  void (*norm)(kernels::cuda::StreamHandle, const kernels::RmsNorm&);
  void (*product)(kernels::cuda::StreamHandle, const kernels::Gemm&);
  ProblemKind kind;
};

namespace cuda = kernels::cuda;
const Planted kPlanted[] = {
    {"norm_without_barrier", cuda::norm_without_barrier::rmsnorm, nullptr,
     ProblemKind::kNeverWritten},
    {"norm_past_its_partials", cuda::norm_past_its_partials::rmsnorm, nullptr,
     ProblemKind::kOutOfBounds},
    {"norm_shuffle_of_some", cuda::norm_shuffle_of_some::rmsnorm, nullptr, ProblemKind::kDeadlock},
    {"norm_two_barriers", cuda::norm_two_barriers::rmsnorm, nullptr,
     ProblemKind::kDivergentBarrier},
    {"norm_past_the_row", cuda::norm_past_the_row::rmsnorm, nullptr, ProblemKind::kOutOfBounds},
    {"norm_one_row", cuda::norm_one_row::rmsnorm, nullptr, ProblemKind::kRaceOfBlocks},
    {"product_without_wait", nullptr, cuda::product_without_wait::gemm, ProblemKind::kCopyOnItsWay},
    {"product_waits_for_too_few", nullptr, cuda::product_waits_for_too_few::gemm,
     ProblemKind::kCopyOnItsWay},
    {"product_without_barrier", nullptr, cuda::product_without_barrier::gemm,
     ProblemKind::kCopyOnItsWay},
    {"product_wrong_stage", nullptr, cuda::product_wrong_stage::gemm, ProblemKind::kCopyOnItsWay},
    {"product_without_tail", nullptr, cuda::product_without_tail::gemm, ProblemKind::kOutOfBounds},
    {"product_writes_too_much", nullptr, cuda::product_writes_too_much::gemm,
     ProblemKind::kOutOfBounds},
    {"product_misaligned", nullptr, cuda::product_misaligned::gemm, ProblemKind::kMisaligned},
};

void run(const Planted& planted) {
  if (planted.norm != nullptr) {
    constexpr int64_t N = 2, D = 122;
    const simt::Array<float> x(std::vector<float>(N * 124 - 2, 1.0f));
    const simt::Array<float> weight(std::vector<float>(D, 1.0f)), rstd(N);
    const simt::Array<uint16_t> y(N * D);
    planted.norm(nullptr, {.y = y.stored(),
                           .rstd = rstd.device(),
                           .x = x.device(),
                           .weight = weight.device(),
                           .N = N,
                           .D = D,
                           .ldx = 124,
                           .ldy = D,
                           .epsilon = 1e-6f});
    return;
  }
  constexpr int64_t M = 17, N = 33, K = 96;
  const simt::Array<uint16_t> x(std::vector<uint16_t>(M * K, 0x3F80));
  const simt::Array<uint16_t> w(std::vector<uint16_t>(N * K, 0x3F80));
  const simt::Array<float> y(M * N);
  planted.product(nullptr, {.y = y.device(),
                            .x = x.stored(),
                            .w = {w.stored().address, N, K},
                            .M = M,
                            .ldy = N,
                            .ldx = K});
}

TEST_CASE("simt: faults in the real kernels are found as what they are") {
  for (const Planted& planted : kPlanted) {
    CAPTURE(std::string(planted.name));
    std::vector<Problem> all;
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      use(engines().front(), seed);
      run(planted);
      for (const Problem& problem : simt::take_problems()) all.push_back(problem);
    }
    if (!all.empty()) MESSAGE(all.front().text);
    const std::string text = text_of(all);
    CAPTURE(text);
    CHECK(has(all, planted.kind));
  }
}

}  // namespace
}  // namespace troupe::tests
