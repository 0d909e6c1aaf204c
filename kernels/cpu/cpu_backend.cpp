#include "kernels/cpu/cpu_backend.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/cpu/ceilings.h"
#include "kernels/cpu/workspace.h"
#include "kernels/random.h"

namespace troupe::kernels {
namespace cpu {

double sample_uniform(const SampleKey& key) {
  const RandomStream stream(key.seed, static_cast<StreamId>(key.stream),
                            key.round << 32 | key.ordinal, key.sample);
  return stream.uniform_at(key.position);
}

void sort_by_probability(int32_t* order, const float* p, int64_t V) {
  for (int64_t i = 0; i < V; ++i) order[i] = static_cast<int32_t>(i);
  std::sort(order, order + V,
            [p](int32_t a, int32_t b) { return p[a] != p[b] ? p[a] > p[b] : a < b; });
}

namespace {

// Zeroed, so that padding that nobody writes is zero too. What is larger than a huge page gets huge
// ones where the kernel has them: with pages of 4 KiB, weights and caches are more pages than the
// processor remembers, and each new one costs a walk through two sets of tables in a virtual
// machine.
uint64_t allocate(int64_t bytes) {
  TROUPE_CHECK(bytes >= 0);
  constexpr size_t kLine = 64, kHugePage = 2 << 20;
  const auto wanted = static_cast<size_t>(std::max<int64_t>(bytes, 64));
  const size_t unit = wanted >= kHugePage ? kHugePage : kLine;
  const size_t size = (wanted + unit - 1) / unit * unit;
  void* memory = std::aligned_alloc(unit, size);
  if (memory == nullptr) return 0;
  if (unit == kHugePage) madvise(memory, size, MADV_HUGEPAGE);  // Refused, it only is slower.
  std::memset(memory, 0, size);
  return reinterpret_cast<uint64_t>(memory);
}

void release(uint64_t address) { std::free(reinterpret_cast<void*>(address)); }

// The largest demand of any operation: the left operand of a product, as tiles or as floats, the
// panels of a weight gradient, the panels and probabilities of attention forward and backward.
int64_t workspace_bytes(const WorkspacePlan& plan) {
  constexpr int64_t kWord = 4, kLeftRows = 96, kLeftBytes = 512 << 10;
  const int64_t width = padded(plan.width_max), tokens = padded(plan.tokens_max);
  const int64_t rows = padded(16 * plan.heads);
  const int64_t context = padded(plan.context_max);
  const int64_t inner = std::max({width, tokens, context, rows});
  // Sums that wait take no more than tiles do.
  const int64_t product = std::max(2 * kLeftBytes, kLeftRows * inner * kWord);
  const int64_t gradient = width * tokens * kWord;
  const int64_t widths = 2 * padded(plan.key_width) + padded(plan.value_width);
  const int64_t attention =
      (32 + context) * widths * kWord + rows * (widths + 4 * context + 64) * kWord;
  const int64_t elementwise = 64 * width * kWord;
  const int64_t combined = std::max(kCombinedFloats, tokens * kCombinedColumnsMin);
  return product + std::max(gradient, combined * kWord) + attention + elementwise + 64 * 64;
}

Stream* create_stream(Precision precision, const WorkspacePlan& plan) {
  auto* state = new StreamState{};
  state->precision = precision;
  state->bytes = workspace_bytes(plan);
  state->memory = reinterpret_cast<char*>(allocate(state->bytes));
  TROUPE_CHECK(state->memory != nullptr);
  return reinterpret_cast<Stream*>(state);
}

void destroy_stream(Stream* stream) {
  auto* state = reinterpret_cast<StreamState*>(stream);
  release(reinterpret_cast<uint64_t>(state->memory));
  delete state;
}

void move_bytes(uint64_t to, uint64_t from, int64_t bytes) {
  if (bytes > 0) {
    std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from),
                 static_cast<size_t>(bytes));
  }
}

Backend complete(Backend table) {
  table.allocate = allocate;
  table.release = release;
  table.create_stream = create_stream;
  table.destroy_stream = destroy_stream;
  table.upload = [](Stream*, uint64_t to, const void* from, int64_t bytes) {
    move_bytes(to, reinterpret_cast<uint64_t>(from), bytes);
  };
  table.download = [](Stream*, void* to, uint64_t from, int64_t bytes) {
    move_bytes(reinterpret_cast<uint64_t>(to), from, bytes);
  };
  table.copy = [](Stream*, uint64_t to, uint64_t from, int64_t bytes) {
    move_bytes(to, from, bytes);
  };
  table.fill_zero = [](Stream*, uint64_t to, int64_t bytes) {
    if (bytes > 0) std::memset(reinterpret_cast<void*>(to), 0, static_cast<size_t>(bytes));
  };
  return table;
}

// Feature bits, never family or model: those are masked on many virtual machines.
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi2");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

// A processor that has the instruction and computes something else with it goes without.
bool has_avx512_dot() { return __builtin_cpu_supports("avx512bf16") && dot_is_two_links(); }

// Whether pairs of products run faster than multiply-adds of floats: twice as fast on AMD's
// processors, half as fast on Intel's. Measured for some microseconds, because feature bits do not
// tell; the choice changes no result.
bool is_dot_faster() {
  const auto seconds_per_operation = [](double (*loop)(int64_t rounds)) {
    double best = 1;
    for (int i = 0; i < 8; ++i) {
      const auto start = std::chrono::steady_clock::now();
      const double operations = loop(100);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      best = std::min(best, took.count() / operations);
    }
    return best;
  };
  return seconds_per_operation(dot_loop_avx512bf16) < 0.75 * seconds_per_operation(fma_loop_avx512);
}

// The processor has the tiles and the roundings to bf16 that come with them, and the kernel lets
// this process use the tiles' state.
bool has_amx() {
  unsigned eax = 7, ebx = 0, ecx = 0, edx = 0;
  asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;
  if ((edx & kAmxBf16) == 0 || (edx & kAmxTile) == 0) return false;
  if (!__builtin_cpu_supports("avx512bf16")) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace
}  // namespace cpu

const std::vector<const Backend*>& cpu_backends() {
  static const std::vector<Backend> tables = [] {
    std::vector<Backend> all;
    if (cpu::has_avx512() && cpu::has_amx()) all.push_back(cpu::complete(cpu::amx_operations()));
    const bool has_dot = cpu::has_avx512() && cpu::has_avx512_dot();
    const bool prefers_dot = has_dot && cpu::is_dot_faster();
    if (prefers_dot) all.push_back(cpu::complete(cpu::avx512bf16_operations()));
    if (cpu::has_avx512()) all.push_back(cpu::complete(cpu::avx512_operations()));
    if (has_dot && !prefers_dot) all.push_back(cpu::complete(cpu::avx512bf16_operations()));
    if (cpu::has_avx2()) all.push_back(cpu::complete(cpu::avx2_operations()));
    all.push_back(cpu::complete(cpu::portable_operations()));
    return all;
  }();
  static const std::vector<const Backend*> pointers = [] {
    std::vector<const Backend*> all;
    for (const auto& table : tables) all.push_back(&table);
    return all;
  }();
  return pointers;
}

Result<const Backend*> cpu_backend() {
  const auto& all = cpu_backends();
  const char* wanted = std::getenv("TROUPE_CPU");
  if (wanted == nullptr || *wanted == '\0') return all.front();
  std::string there;
  for (const Backend* backend : all) {
    if (std::string_view(wanted) == backend->name) return backend;
    there += (there.empty() ? "" : ", ") + std::string(backend->name);
  }
  return invalid_argument("TROUPE_CPU=" + std::string(wanted) +
                          " is not an instruction set of this machine; there are: " + there);
}

}  // namespace troupe::kernels
