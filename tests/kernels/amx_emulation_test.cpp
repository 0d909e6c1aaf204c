// kernels/cpu/product_amx.inl run on tiles in software, against the portable product.
//
// What this proves: that the code moves the right bytes. Layout of the strips and panels as
// TDPBF16PS wants them, indices, ragged edges, the order in which blocks are added, and that no
// tile is read outside of what the caller gave (checked on every load). Together with the
// instruction's published arithmetic, written down in tile_dot, it proves the bits. What it does
// not: that a processor follows that description (measured once on Sapphire Rapids: 0 of 65,536
// results differed in four regimes, among them subnormals and infinities), that it accepts the tile
// configuration and that the kernel grants the state. Where there is AMX, product_test.cpp runs the
// real thing against the same definition.
#include <doctest/doctest.h>
#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/cpu/workspace.h"
#include "kernels/random.h"
#include "tests/support/on_device.h"

namespace troupe::kernels::cpu {
namespace {

inline float bits_to_float(uint32_t bits) { return std::bit_cast<float>(bits); }
inline uint32_t float_to_bits(float x) { return std::bit_cast<uint32_t>(x); }

// Eight tiles of 16 rows of 64 bytes.
struct Tiles {
  alignas(64) uint8_t bytes[8][16][64];
  bool is_configured = false;
  int64_t num_dots = 0;
  std::vector<std::pair<const char*, const char*>> readable{};  // What tiles may be loaded from.
};
Tiles tiles;

void configure_tiles() { tiles.is_configured = true; }

void tile_zero(int tile) {
  REQUIRE(tiles.is_configured);
  std::memset(tiles.bytes[tile], 0, 1024);
}
void tile_load(int tile, const void* from, int64_t stride) {
  REQUIRE(tiles.is_configured);
  const char* first = static_cast<const char*>(from);
  const char* last = first + 15 * stride + 64;
  const bool is_inside =
      std::any_of(tiles.readable.begin(), tiles.readable.end(),
                  [&](const auto& range) { return range.first <= first && last <= range.second; });
  REQUIRE(is_inside);
  for (int row = 0; row < 16; ++row) std::memcpy(tiles.bytes[tile][row], first + row * stride, 64);
}
void tile_store(int tile, void* to, int64_t stride) {
  for (int row = 0; row < 16; ++row) {
    std::memcpy(static_cast<char*>(to) + row * stride, tiles.bytes[tile][row], 64);
  }
}

template <class T>
T element(int tile, int row, int column) {
  T value;
  std::memcpy(&value, &tiles.bytes[tile][row][static_cast<size_t>(column) * sizeof(T)], sizeof(T));
  return value;
}
double widened(int tile, int row, int column) {
  return static_cast<double>(
      bits_to_float(static_cast<uint32_t>(element<uint16_t>(tile, row, column)) << 16));
}

// TDPBF16PS c, a, b (Intel's instruction set extensions reference): per element of c an even and an
// odd sum of fused multiply-adds from zero over the pairs of a row of a, added to each other and
// then to c; round to nearest even, subnormals are zero on the way in and out. The caller has set
// the last two in MXCSR.
void tile_dot(int c, int a, int b) {
  ++tiles.num_dots;
  for (int m = 0; m < 16; ++m) {
    for (int n = 0; n < 16; ++n) {
      volatile float even = 0, odd = 0;
      for (int k = 0; k < 16; ++k) {
        even = static_cast<float>(widened(a, m, 2 * k) * widened(b, k, 2 * n) +
                                  static_cast<double>(even));
        odd = static_cast<float>(widened(a, m, 2 * k + 1) * widened(b, k, 2 * n + 1) +
                                 static_cast<double>(odd));
      }
      const volatile float both = even + odd;
      const float sum = element<float>(c, m, n) + both;
      std::memcpy(&tiles.bytes[c][m][n * 4], &sum, 4);
    }
  }
}

namespace portable {
#include "kernels/cpu/lanes_portable.inl"
#include "kernels/cpu/product.inl"
}  // namespace portable

#define TROUPE_AMX
#define TROUPE_TILE_ZERO(tile) tile_zero(tile)
#define TROUPE_TILE_LOAD(tile, from, stride) tile_load(tile, from, stride)
#define TROUPE_TILE_STORE(tile, to, stride) tile_store(tile, to, stride)
#define TROUPE_TILE_FENCE() static_cast<void>(0)
#define TROUPE_TILE_DOT(c, a, b) tile_dot(c, a, b)
namespace emulated {
#include "kernels/cpu/lanes_portable.inl"
#include "kernels/cpu/product.inl"
}  // namespace emulated
#undef TROUPE_AMX

using tests::require_same;

class FlushScope {
 public:
  FlushScope() : saved_(_mm_getcsr()) { _mm_setcsr(0x9fc0); }
  ~FlushScope() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
};

// bf16 values as floats; every fourth row of sixteen makes products that are subnormal.
std::vector<float> operand(int64_t count, uint64_t seed) {
  auto values = tests::random_values(count, seed);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = tests::rounded(i / 16 % 4 == 3 ? values[i] * 0x1p-65f : values[i]);
  }
  return values;
}

std::vector<uint16_t> stored(const std::vector<float>& values) {
  std::vector<uint16_t> halves;
  for (float x : values) halves.push_back(tests::to_bf16(x));
  return halves;
}

// Memory with a given end, so that anything behind it is outside of what tiles may read.
class Memory {
 public:
  explicit Memory(int64_t bytes) : words_(static_cast<size_t>((bytes + 63) / 64)) {
    tiles.readable.emplace_back(begin(), begin() + bytes);
  }
  ~Memory() {
    tiles.readable.erase(std::find_if(tiles.readable.begin(), tiles.readable.end(),
                                      [&](const auto& range) { return range.first == begin(); }));
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  char* begin() { return reinterpret_cast<char*>(words_.data()); }
  uint64_t address() { return reinterpret_cast<uint64_t>(begin()); }
  Workspace workspace() { return {begin(), begin() + words_.size() * 64}; }

 private:
  struct alignas(64) Line {
    char bytes[64];
  };
  std::vector<Line> words_;
};

// The two left layouts of multiply(), with exactly the workspace that the strips take.
void check_multiply(int64_t M, int64_t N, int64_t num_blocks, bool is_transposed) {
  CAPTURE(M);
  CAPTURE(N);
  CAPTURE(num_blocks);
  CAPTURE(is_transposed);
  const FlushScope scope;
  // One element short of whole blocks, so that their ends are seen too.
  const int64_t K = num_blocks * kPadK - 1, panel_blocks = num_blocks + 1;
  const auto a = stored(operand(M * K, 1)), b = stored(operand(N * K, 2));
  std::vector<uint16_t> left(a.size());
  for (int64_t m = 0; m < M; ++m) {
    for (int64_t k = 0; k < K; ++k) {
      left[static_cast<size_t>(is_transposed ? k * M + m : m * K + k)] =
          a[static_cast<size_t>(m * K + k)];
    }
  }
  Memory panels(padded(N, kPanelN) * panel_blocks * kPadK * 2);
  // Up to 64 blocks are laid out at once; more of them in parts of 32, of at most 256 rows, beside
  // sums of 512 columns.
  const bool is_cut = num_blocks > 64;
  const int64_t strip_rows = is_cut ? std::min<int64_t>(padded(M), 256) : padded(M);
  Memory strips(strip_rows * (is_cut ? 32 : num_blocks) * kPadK * 2 +
                (is_cut ? strip_rows * 512 * 4 : 0));
  auto* words = reinterpret_cast<uint32_t*>(panels.begin());
  portable::pack_rows(portable::Bf16{}, words, N, K, panel_blocks,
                      [&](int64_t n) { return b.data() + n * K; });
  std::vector<float> want(static_cast<size_t>(M * N), 7), got = want;
  std::vector<char> floats(4 << 20);
  const Workspace scratch{floats.data(), floats.data() + floats.size()};
  const auto rows = [&](int64_t m) { return left.data() + m * K; };
  const auto columns = [&](int64_t k) { return left.data() + k * M; };
  if (is_transposed) {
    portable::multiply(portable::Bf16{}, scratch, portable::LeftColumns{columns}, M, words, N, K,
                       panel_blocks, portable::IntoFloats{want.data(), N});
    emulated::multiply(emulated::Bf16{}, strips.workspace(), emulated::LeftColumns{columns}, M,
                       words, N, K, panel_blocks, emulated::IntoFloats{got.data(), N});
  } else {
    portable::multiply(portable::Bf16{}, scratch, portable::LeftRows{rows}, M, words, N, K,
                       panel_blocks, portable::IntoFloats{want.data(), N});
    emulated::multiply(emulated::Bf16{}, strips.workspace(), emulated::LeftRows{rows}, M, words, N,
                       K, panel_blocks, emulated::IntoFloats{got.data(), N});
  }
  require_same(got, want);
}

TEST_CASE("amx: the product on tiles has the bits of the portable product for any shape") {
  tiles.num_dots = 0;
  for (const bool is_transposed : {false, true}) {
    for (int64_t M : {1, 2, 15, 16, 17, 31, 32, 33, 50, 97}) {
      for (int64_t N : {1, 15, 16, 17, 31, 32, 33, 48, 65}) {
        for (int64_t num_blocks : {1, 3}) check_multiply(M, N, num_blocks, is_transposed);
      }
    }
    for (int64_t M : {1, 16, 50, 270}) {
      check_multiply(M, 17, 64, is_transposed);
      check_multiply(M, 17, 65, is_transposed);
      check_multiply(M, 80, 97, is_transposed);
    }
    check_multiply(20, 530, 70, is_transposed);
  }
  CHECK(tiles.num_dots > 1000);
}

TEST_CASE("amx: gemm on tiles has the bits of the portable gemm, gathered rows too") {
  const FlushScope scope;
  for (int64_t M : {1, 7, 16, 33, 97, 130}) {
    for (int64_t K : {1, 31, 33, 100}) {
      for (int64_t N : {1, 17, 48, 100}) {
        CAPTURE(M);
        CAPTURE(K);
        CAPTURE(N);
        const auto x = stored(operand(M * K, 1));
        const auto source = operand(N * K, 2);
        Memory weights(portable::packed_words<portable::Bf16>(N, K) * 4), scratch(1 << 20);
        const Packed w{weights.address(), N, K};
        emulated::pack(emulated::Bf16{}, scratch.workspace(), w, source.data(), K,
                       /*is_transposed=*/false);
        std::vector<int32_t> rows;
        for (int64_t m = 0; m < M; ++m) rows.push_back(static_cast<int32_t>((m * 5 + 1) % M));
        for (const bool is_gathered : {false, true}) {
          std::vector<float> want(static_cast<size_t>(M * N), 0.5f), got = want;
          Gemm args{
              .x = {reinterpret_cast<uint64_t>(x.data()), 2}, .w = w, .M = M, .ldy = N, .ldx = K};
          if (is_gathered) args.x_rows = {reinterpret_cast<uint64_t>(rows.data())};
          args.y = {reinterpret_cast<uint64_t>(want.data())};
          portable::gemm(portable::Bf16{}, scratch.workspace(), args);
          args.y = {reinterpret_cast<uint64_t>(got.data())};
          emulated::gemm(emulated::Bf16{}, scratch.workspace(), args);
          require_same(got, want);
        }
      }
    }
  }
}

TEST_CASE("amx: weight gradients on tiles have the bits of the portable ones") {
  const FlushScope scope;
  for (int64_t T : {1, 31, 33, 70}) {
    for (int64_t rows : {1, 16, 33, 100}) {
      for (int64_t cols : {1, 17, 40}) {
        CAPTURE(T);
        CAPTURE(rows);
        CAPTURE(cols);
        const auto dy = stored(operand(T * rows, 1)), x = stored(operand(T * cols, 2));
        Memory scratch(1 << 20);
        std::vector<float> want(static_cast<size_t>(rows * cols), 0.5f), got = want;
        WeightGradient args{.dy = {reinterpret_cast<uint64_t>(dy.data()), 2},
                            .x = {reinterpret_cast<uint64_t>(x.data()), 2},
                            .T = T,
                            .rows = rows,
                            .cols = cols,
                            .ldw = cols,
                            .lddy = rows,
                            .ldx = cols};
        args.dw = {reinterpret_cast<uint64_t>(want.data())};
        portable::weight_gradient(portable::Bf16{}, scratch.workspace(), args);
        args.dw = {reinterpret_cast<uint64_t>(got.data())};
        emulated::weight_gradient(emulated::Bf16{}, scratch.workspace(), args);
        require_same(got, want);
      }
    }
  }
}

}  // namespace
}  // namespace troupe::kernels::cpu
