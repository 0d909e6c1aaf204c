// Rows of heads and their gradient on CUDA kernels against the reference, bit for bit.
#include <cmath>

#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

using cuda_reference::from_bf16;

constexpr int64_t kPositions = 40;
constexpr float kEpsilon = 1e-6f;

struct Case {
  int64_t N, H, d;
  bool is_normed, is_rotated;
};
const Case kCases[] = {
    {0, 3, 8, true, true},    {1, 1, 1, true, false},  {2, 7, 30, false, true},
    {1, 8, 32, true, true},   {3, 9, 33, true, false}, {3, 9, 33, false, false},
    {1, 2, 130, true, true},  {4, 5, 128, true, true}, {2, 3, 1024, true, true},
    {1, 1, 518, true, true},  {17, 1, 6, true, true},  {3, 8, 64, false, true},
    {2, 17, 126, true, true},
};

// What the weight's gradient and the rows are made of.
struct Inputs {
  cuda_reference::HeadRows what{};
  std::vector<float> x{}, dy{}, rstd{}, before{};
};
Inputs inputs_of(const Case& c) {
  Random random(static_cast<uint64_t>(c.d * 100 + c.H));
  Inputs in;
  in.what.H = c.H;
  in.what.d = c.d;
  in.what.rotation = {.table = {},
                      .position = std::vector<int32_t>(static_cast<size_t>(c.N)),
                      .P = c.is_rotated ? c.d : 0};
  for (int64_t i = 0; c.is_rotated && i < kPositions * c.d; i += 2) {
    const float angle = random.uniform() * 2;
    in.what.rotation.table.push_back(std::cos(angle));
    in.what.rotation.table.push_back(std::sin(angle));
  }
  for (int32_t& p : in.what.rotation.position) p = random.in(0, kPositions - 1);
  if (c.is_normed) in.what.weight = random.numbers(c.d);
  in.x = random.numbers(c.N * c.H * c.d);
  in.dy = random.numbers(c.N * c.H * c.d);
  in.rstd = random.numbers(c.N * c.H);
  in.before = random.numbers(c.d);
  return in;
}

TEST_CASE("cuda head rows: the reference's bits from every engine and schedule") {
  for (const Case& c : kCases) {
    CAPTURE(c.N);
    CAPTURE(c.H);
    CAPTURE(c.d);
    const Inputs in = inputs_of(c);
    const cuda_reference::Normalised expected = cuda_reference::head_rows(in.x, in.what, kEpsilon);
    for (const bool has_slots : {false, true}) {
      // Heads apart from each other, rows in the opposite order: what lies between is left alone.
      const int64_t width = kernels::padded(c.d), stride = width + 3, ldy = c.H * stride + 5;
      std::vector<int32_t> slots(static_cast<size_t>(c.N));
      std::vector<uint16_t> all(static_cast<size_t>(c.N * ldy), 0x1234);
      for (int64_t n = 0; n < c.N; ++n) {
        const int64_t row = has_slots ? c.N - 1 - n : n;
        slots[static_cast<size_t>(n)] = static_cast<int32_t>(row);
        for (int64_t h = 0; h < c.H; ++h) {
          std::copy_n(expected.y.begin() + (n * c.H + h) * width, width,
                      all.begin() + row * ldy + h * stride);
        }
      }
      on_every_engine(4, [&] {
        const simt::Array<float> x(in.x), weight(in.what.weight), table(in.what.rotation.table);
        const simt::Array<float> rstd(expected.rstd.size());
        const simt::Array<int32_t> position(in.what.rotation.position), slot(slots);
        const simt::Array<uint16_t> y(std::vector<uint16_t>(all.size(), 0x1234));
        kernels::HeadRows args{.y = y.stored(),
                               .x = x.device(),
                               .position = position.device(),
                               .N = c.N,
                               .H = c.H,
                               .d = c.d,
                               .ldy = ldy,
                               .stride = stride,
                               .epsilon = kEpsilon};
        if (c.is_normed) args.weight = weight.device();
        if (c.is_normed) args.rstd = rstd.device();
        if (c.is_rotated) args.table = table.device();
        if (has_slots) args.slot = slot.device();
        kernels::cuda::head_rows(nullptr, args);
        REQUIRE(has_same_bits(rstd.values(), expected.rstd));
        REQUIRE(y.values() == all);
      });
    }
  }
}

TEST_CASE("cuda head rows backward: the reference's bits from every engine and schedule") {
  for (const Case& c : kCases) {
    CAPTURE(c.N);
    CAPTURE(c.H);
    CAPTURE(c.d);
    const Inputs in = inputs_of(c);
    std::vector<float> dweight = in.before;
    const std::vector<uint16_t> expected =
        cuda_reference::head_rows_backward(dweight, in.dy, in.x, in.rstd, in.what);
    const int64_t stride = c.d + 3, lddy = c.H * stride + 5;
    on_every_engine(4, [&] {
      std::vector<float> spread(static_cast<size_t>(c.N * lddy), NAN);
      for (int64_t i = 0; i < c.N * c.H; ++i) {
        std::copy_n(in.dy.begin() + i * c.d, c.d,
                    spread.begin() + i / c.H * lddy + i % c.H * stride);
      }
      const simt::Array<float> x(in.x), weight(in.what.weight), table(in.what.rotation.table);
      const simt::Array<float> rstd(in.rstd), dy(spread), device_dweight(in.before);
      const simt::Array<int32_t> position(in.what.rotation.position);
      const simt::Array<uint16_t> dx(expected.size());
      kernels::HeadRowsBackward args{.dx = dx.stored(),
                                     .dy = dy.device(),
                                     .x = x.device(),
                                     .position = position.device(),
                                     .N = c.N,
                                     .H = c.H,
                                     .d = c.d,
                                     .lddy = lddy,
                                     .stride = stride};
      if (c.is_normed) {
        args.weight = weight.device();
        args.dweight = device_dweight.device();
        args.rstd = rstd.device();
      }
      if (c.is_rotated) args.table = table.device();
      kernels::cuda::head_rows_backward(nullptr, args);
      REQUIRE(dx.values() == expected);
      REQUIRE(has_same_bits(device_dweight.values(), dweight));
    });
  }
}

TEST_CASE("cuda head rows: the reference is the mathematics within bf16, and turns back") {
  const Inputs in = inputs_of({1, 1, 8, true, true});
  const auto y = cuda_reference::head_rows(in.x, in.what, kEpsilon).y;
  double squares = 0;
  for (const float x : in.x) squares += double{x} * x;
  const double rstd = 1 / std::sqrt(squares / 8 + double{kEpsilon});
  const float* angle =
      &in.what.rotation.table[static_cast<size_t>(in.what.rotation.position[0]) * 8];
  for (size_t i = 0; i < 4; ++i) {
    const double a = in.x[i] * rstd * in.what.weight[i];
    const double b = in.x[i + 4] * rstd * in.what.weight[i + 4];
    CHECK(std::abs(from_bf16(y[i]) - (a * angle[2 * i] - b * angle[2 * i + 1])) < 0.03);
    CHECK(std::abs(from_bf16(y[i + 4]) - (b * angle[2 * i] + a * angle[2 * i + 1])) < 0.03);
  }
  // Without a norm the gradient of what was turned is what was there.
  Inputs plain = inputs_of({1, 1, 8, false, true});
  const auto turned = cuda_reference::head_rows(plain.x, plain.what, kEpsilon).y;
  std::vector<float> dy;
  for (size_t i = 0; i < 8; ++i) dy.push_back(from_bf16(turned[i]));
  std::vector<float> dweight;
  const auto back = cuda_reference::head_rows_backward(dweight, dy, plain.x, {}, plain.what);
  for (size_t i = 0; i < 8; ++i) CHECK(std::abs(from_bf16(back[i]) - plain.x[i]) < 0.03f);
}

}  // namespace
}  // namespace troupe::tests
