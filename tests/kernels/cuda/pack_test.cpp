// Weights as products want them, made by CUDA kernels, against the reference, bit for bit.
#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

TEST_CASE("cuda pack: the reference's bits from every engine, of a matrix and of its transpose") {
  struct Case {
    int64_t rows, cols, gap;
  };
  for (const auto& [rows, cols, gap] :
       {Case{0, 8, 0}, Case{1, 1, 0}, Case{15, 31, 1}, Case{16, 32, 0}, Case{17, 33, 2},
        Case{31, 64, 0}, Case{33, 65, 3}, Case{70, 5, 0}}) {
    CAPTURE(rows);
    CAPTURE(cols);
    Random random(static_cast<uint64_t>(rows * 100 + cols));
    const std::vector<float> w = random.numbers(rows * cols);
    std::vector<float> transposed;
    for (int64_t c = 0; c < cols; ++c) {
      for (int64_t r = 0; r < rows; ++r) transposed.push_back(w[static_cast<size_t>(r * cols + c)]);
    }
    const std::vector<uint16_t> expected = cuda_reference::packed(w, rows, cols);
    REQUIRE(kernels::cuda::packed_bytes(rows, cols) == static_cast<int64_t>(expected.size()) * 2);
    on_every_engine(4, [&, rows = rows, cols = cols, gap = gap] {
      for (const bool is_transposed : {false, true}) {
        const int64_t source_rows = is_transposed ? cols : rows;
        const int64_t source_cols = is_transposed ? rows : cols;
        const Rows<float> from(is_transposed ? transposed : w, source_rows, source_cols,
                               source_cols + gap);
        const simt::Array<uint16_t> to(expected.size());
        kernels::cuda::pack(nullptr, {.to = {to.stored().address, rows, cols},
                                      .from = from.device(),
                                      .ld = source_cols + gap,
                                      .is_transposed = is_transposed});
        REQUIRE(to.values() == expected);
      }
    });
  }
}

}  // namespace
}  // namespace troupe::tests
