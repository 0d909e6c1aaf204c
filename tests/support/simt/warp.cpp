// What the lanes of a warp do together.
#include <algorithm>
#include <cstring>

#include "tests/support/simt/checker.h"
#include "tests/support/simt/simt.h"
#include "tests/support/simt/threads.h"

namespace troupe::simt {
namespace {

constexpr uint32_t kAllLanes = UINT32_MAX;

// Calls f(lane, its own) for each lane of a mask.
template <class T, class F>
void for_each_lane(void* const* own, uint32_t mask, F f) {
  for (uint32_t left = mask; left != 0; left &= left - 1) {
    const unsigned lane = static_cast<unsigned>(__builtin_ctz(left));
    f(lane, *static_cast<T*>(own[lane]));
  }
}

struct ShuffleLane {
  uint32_t value;
  unsigned from;
};

void combine_shuffle(void* const* own, uint32_t mask, Place place) {
  uint32_t values[32];
  for_each_lane<ShuffleLane>(own, mask, [&](unsigned l, ShuffleLane& s) { values[l] = s.value; });
  for_each_lane<ShuffleLane>(own, mask, [&](unsigned, ShuffleLane& s) {
    if ((mask >> s.from & 1) == 0) {
      fail(ProblemKind::kWarpOperation,
           "a shuffle from lane " + std::to_string(s.from) + ", which is not in the mask",
           {nullptr, place});
    }
    s.value = values[s.from];
  });
}

void combine_ballot(void* const* own, uint32_t mask, Place) {
  uint32_t all = 0;
  for_each_lane<uint32_t>(own, mask, [&](unsigned l, uint32_t& bit) { all |= bit << l; });
  for_each_lane<uint32_t>(own, mask, [&](unsigned, uint32_t& bit) { bit = all; });
}

struct MmaLane {
  float* d;
  const uint32_t* a;
  const uint32_t* b;
};

// Fragments as in the PTX manual, "Matrix Fragments for mma.m16n8k16 with floating point type":
// lane l has rows l / 4 and l / 4 + 8, and columns from l % 4 * 2 on, two by two.
void combine_mma(void* const* own, uint32_t mask, Place) {
  uint16_t a[16][16], b[8][16];
  float d[16][8];
  for_each_lane<MmaLane>(own, mask, [&](unsigned l, MmaLane& lane) {
    const unsigned row = l / 4, column = l % 4 * 2;
    std::memcpy(&a[row][column], &lane.a[0], 4);
    std::memcpy(&a[row + 8][column], &lane.a[1], 4);
    std::memcpy(&a[row][column + 8], &lane.a[2], 4);
    std::memcpy(&a[row + 8][column + 8], &lane.a[3], 4);
    std::memcpy(&b[row][column], &lane.b[0], 4);
    std::memcpy(&b[row][column + 8], &lane.b[1], 4);
    for (unsigned i = 0; i < 4; ++i) d[row + i / 2 * 8][column + i % 2] = lane.d[i];
  });
  cuda_reference::mma_m16n8k16(settings().tensor_core, d, a, b);
  for_each_lane<MmaLane>(own, mask, [&](unsigned l, MmaLane& lane) {
    for (unsigned i = 0; i < 4; ++i) lane.d[i] = d[l / 4 + i / 2 * 8][l % 4 * 2 + i % 2];
  });
}

struct MatrixLane {
  uint32_t* r;
  const void* row;
};

// Lane l gets of each matrix the two elements from column l % 4 * 2 on of row l / 4.
void combine_load_matrix(void* const* own, uint32_t mask, Place) {
  uint32_t rows[32][4];
  for_each_lane<MatrixLane>(own, mask, [&](unsigned l, MatrixLane& lane) {
    std::memcpy(rows[l], lane.row, sizeof rows[l]);
  });
  for_each_lane<MatrixLane>(own, mask, [&](unsigned l, MatrixLane& lane) {
    for (unsigned matrix = 0; matrix < 4; ++matrix) {
      lane.r[matrix] = rows[matrix * 8 + l / 4][l % 4];
    }
  });
}

// Lane l gets of each matrix the elements of rows l % 4 * 2 and the next in column l / 4.
void combine_load_transposed(void* const* own, uint32_t mask, Place) {
  uint16_t rows[32][8];
  for_each_lane<MatrixLane>(own, mask, [&](unsigned l, MatrixLane& lane) {
    std::memcpy(rows[l], lane.row, sizeof rows[l]);
  });
  for_each_lane<MatrixLane>(own, mask, [&](unsigned l, MatrixLane& lane) {
    for (unsigned matrix = 0; matrix < 4; ++matrix) {
      const unsigned row = matrix * 8 + l % 4 * 2;
      lane.r[matrix] = rows[row][l / 4] | static_cast<uint32_t>(rows[row + 1][l / 4]) << 16;
    }
  });
}

}  // namespace
}  // namespace troupe::simt

namespace troupe::kernels::cuda::host {

void sync_warp(uint32_t mask, Place place) {
  simt::meet({"sync_warp", mask, [](void* const*, uint32_t, Place) {}, true}, nullptr, place);
}

uint32_t shuffle(const char* what, uint32_t mask, uint32_t value, unsigned from_lane, Place place) {
  simt::ShuffleLane lane{value, from_lane};
  simt::meet({what, mask, simt::combine_shuffle, false}, &lane, place);
  return lane.value;
}

uint32_t ballot(uint32_t mask, bool predicate, Place place) {
  uint32_t bits = predicate ? 1 : 0;
  simt::meet({"ballot", mask, simt::combine_ballot, false}, &bits, place);
  return bits;
}

void mma_m16n8k16_bf16(float* d, const uint32_t* a, const uint32_t* b, Place place) {
  simt::MmaLane lane{d, a, b};
  simt::meet({"mma_m16n8k16_bf16", simt::kAllLanes, simt::combine_mma, false}, &lane, place);
}

void load_matrix_x4(uint32_t* r, const void* row, Place place) {
  simt::access(row, 16, simt::AccessKind::kRead, {nullptr, place});
  simt::MatrixLane lane{r, row};
  simt::meet({"load_matrix_x4", simt::kAllLanes, simt::combine_load_matrix, false}, &lane, place);
}

void load_matrix_x4_transposed(uint32_t* r, const void* row, Place place) {
  simt::access(row, 16, simt::AccessKind::kRead, {nullptr, place});
  simt::MatrixLane lane{r, row};
  simt::meet({"load_matrix_x4_transposed", simt::kAllLanes, simt::combine_load_transposed, false},
             &lane, place);
}

int32_t atomic_add(int32_t* to, int32_t value, Place place) {
  simt::access(to, 4, simt::AccessKind::kAtomic, {nullptr, place});
  const int32_t before = *to;
  *to = before + value;
  return before;
}

}  // namespace troupe::kernels::cuda::host
