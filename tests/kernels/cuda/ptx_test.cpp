// The interpreter of PTX: single instructions, and faults in what nvcc made of the kernels, which
// only it can see.
#include <algorithm>
#include <regex>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"
#include "tests/support/simt/ptx.h"

// Its name is what a kernel of the texts below is called by. It is never run itself.
extern "C" void troupe_sample(uint64_t* result, uint64_t x, uint64_t y) {
  *result = x + y;  // Reached only if no interpreter was asked.
}

namespace troupe::tests {
namespace {

using cuda_reference::TensorCore;
using simt::ProblemKind;
using simt::PtxInterpreter;

std::string sample(const std::string& body) {
  return ".version 9.0\n.target sm_80\n.visible .entry troupe_sample(\n"
         "\t.param .u64 p0,\n\t.param .u64 p1,\n\t.param .u64 p2\n)\n{\n\t.reg .b64 %rd<9>;\n"
         "\tld.param.u64 %rd1, [p0];\n\tld.param.u64 %rd2, [p1];\n\tld.param.u64 %rd3, [p2];\n" +
         body + "\tst.global.u64 [%rd1], %rd4;\n\tret;\n}\n";
}

uint64_t result_of(const std::string& body, uint64_t x, uint64_t y) {
  PtxInterpreter interpreter({{"sample.ptx", sample(body)}});
  simt::settings() = {.is_checked = true, .interpreter = &interpreter};
  const simt::Array<uint64_t> result(1);
  kernels::cuda::launch(troupe_sample, 1, 1, 0, nullptr, result.get(), x, y);
  const std::string found = text_of(simt::take_problems());
  REQUIRE_MESSAGE(found.empty(), found);
  return result.values()[0];
}

TEST_CASE("ptx: instructions do what the manual says") {
  struct Case {
    const char* name;
    uint64_t x, y, expected;
  };
  constexpr uint64_t kOne = 0x3F800000, kThree = 0x40400000, kNan = 0x7FC00000;
  constexpr uint64_t kOneDouble = 0x3FF0000000000000, kThreeDouble = 0x4008000000000000,
                     kFourDouble = 0x4010000000000000;
  const Case cases[] = {
      {"add.s32", 0xFFFFFFFF, 2, 1},
      {"add.s64", 0xFFFFFFFF, 2, 0x100000001},
      {"sub.s32", 1, 2, 0xFFFFFFFF},
      {"mul.lo.s32", 0x10000, 0x10001, 0x10000},
      {"mul.hi.u32", 0x80000000, 4, 2},
      {"mul.hi.s32", 0x80000000, 4, 0xFFFFFFFE},
      {"mul.hi.u64", uint64_t{1} << 63, 6, 3},
      {"mul.wide.s32", 0xFFFFFFFF, 3, uint64_t(-3)},
      {"mul.wide.u32", 0xFFFFFFFF, 3, 0x2FFFFFFFD},
      {"div.s32", uint32_t(-7), 2, uint32_t(-3)},
      {"rem.s32", uint32_t(-7), 2, uint32_t(-1)},
      {"div.u32", 0xFFFFFFF9, 2, 0x7FFFFFFC},
      {"shr.s32", 0x80000000, 40, 0xFFFFFFFF},
      {"shr.u32", 0x80000000, 31, 1},
      {"shr.u32", 0x80000000, 32, 0},
      {"shl.b32", 3, 31, 0x80000000},
      {"min.s32", 0xFFFFFFFF, 1, 0xFFFFFFFF},
      {"min.u32", 0xFFFFFFFF, 1, 1},
      {"max.s64", uint64_t(-5), 3, 3},
      {"add.rn.f32", kOne, kOne, 0x40000000},
      {"div.rn.f32", kOne, kThree, 0x3EAAAAAB},
      {"max.f32", kNan, kOne, kOne},
      {"add.rn.f64", kOneDouble, kThreeDouble, kFourDouble},
      {"add.f64", kOneDouble, 0x3CA0000000000000, kOneDouble},  // A tie, to even.
      {"mul.rn.f64", kThreeDouble, kThreeDouble, 0x4022000000000000},
      {"div.rn.f64", kOneDouble, kThreeDouble, 0x3FD5555555555555},
  };
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    CHECK(result_of(std::string("\t") + c.name + " %rd4, %rd2, %rd3;\n", c.x, c.y) == c.expected);
  }
}

TEST_CASE("ptx: conversions, comparisons and predicates") {
  const auto converted = [](const char* name, uint64_t x) {
    return result_of(std::string("\t") + name + " %rd4, %rd2;\n", x, 0);
  };
  CHECK(converted("cvt.s64.s32", 0xFFFFFFFE) == uint64_t(-2));
  CHECK(converted("cvt.u64.u32", 0xFFFFFFFE) == 0xFFFFFFFE);
  CHECK(converted("cvt.u16.u32", 0x12345678) == 0x5678);
  CHECK(converted("cvt.rn.f32.s32", uint32_t(-1)) == 0xBF800000);
  CHECK(converted("cvt.rn.f32.u64", 0xFFFFFF7FFFFFFFFF) == 0x5F7FFFFF);  // Rounded once.
  CHECK(converted("cvt.rzi.s32.f32", 0xC0200000) == uint32_t(-2));
  CHECK(converted("cvt.rzi.s32.f32", 0x7F800000) == 0x7FFFFFFF);
  CHECK(converted("cvt.rzi.u32.f32", 0xC0200000) == 0);
  CHECK(converted("cvt.f64.f32", 0xC0200000) == 0xC004000000000000);
  CHECK(converted("cvt.rn.f32.f64", 0x3FF0000010000000) == 0x3F800000);  // A tie, to even.
  CHECK(converted("cvt.rn.f64.s32", uint32_t(-2)) == 0xC000000000000000);
  CHECK(converted("cvt.rzi.s32.f64", 0xC004000000000000) == uint32_t(-2));
  CHECK(converted("popc.b32", 0xF0F) == 8);
  CHECK(converted("clz.b32", 0x10000) == 15);
  CHECK(converted("neg.s32", 1) == 0xFFFFFFFF);

  const auto is = [](const char* comparison, uint64_t x, uint64_t y) {
    return result_of(std::string("\tsetp.") + comparison +
                         " %p1, %rd2, %rd3;\n\tmov.u64 %rd4, 0;\n\t@%p1 mov.u64 %rd4, 1;\n"
                         "\t@!%p1 bra $L_end;\n\tadd.s64 %rd4, %rd4, 1;\n$L_end:\n",
                     x, y) == 2;
  };
  constexpr uint64_t kNan = 0x7FC00000;
  CHECK(is("lt.s32", 0xFFFFFFFF, 0));
  CHECK(!is("lt.u32", 0xFFFFFFFF, 0));
  CHECK(is("hi.u32", 0xFFFFFFFF, 0));
  CHECK(is("gt.s64", 1, uint64_t(-1)));
  CHECK(!is("eq.f32", kNan, kNan));
  CHECK(!is("ne.f32", kNan, kNan));
  CHECK(is("neu.f32", kNan, 0));
  CHECK(is("geu.f32", kNan, 0));
  CHECK(!is("ge.f32", kNan, 0));
  CHECK(is("nan.f32", 0, kNan));
  CHECK(!is("num.f32", 0, kNan));
  CHECK(is("lt.f64", 0x3FF0000000000000, 0x3FF0000000000001));
  CHECK(!is("lt.f64", 0x3FF0000000000000, 0xBFF0000000000001));
}

TEST_CASE("ptx: moves put words together and take them apart, the lowest part first") {
  CHECK(result_of("\tmov.b64 %rd4, {%rd2, %rd3};\n", 0x100000002, 3) == 0x300000002);
  CHECK(result_of("\tmov.b32 %rd4, {%rd2, %rd3};\n", 0x10002, 3) == 0x30002);
  const std::string both = "\tmov.b64 {%rd5, %rd4}, %rd2;\n\tshl.b64 %rd5, %rd5, 4;\n";
  CHECK(result_of(both + "\tadd.s64 %rd4, %rd4, %rd5;\n", 0x700000001, 0) == 0x17);
}

TEST_CASE("ptx: bits are put into a word") {
  CHECK(result_of("\tbfi.b64 %rd4, %rd2, %rd3, 32, 16;\n", 0x1F00F, 0x7777777733333333) ==
        0x7777F00F33333333);
  CHECK(result_of("\tbfi.b32 %rd4, %rd2, %rd3, 28, 8;\n", 0xFF, 3) == 0xF0000003);
  CHECK(result_of("\tbfi.b64 %rd4, %rd2, %rd3, 64, 8;\n", 0xFF, 3) == 3);
}

TEST_CASE("ptx: what is not known, or no arithmetic of IEEE, is refused by line") {
  const auto refused = [](const std::string& body) -> std::string {
    try {
      PtxInterpreter interpreter({{"sample.ptx", sample(body)}});
    } catch (const simt::ptx::Error& error) {
      return error.what();
    }
    return "";
  };
  CHECK(refused("\tdiv.approx.f32 %rd4, %rd2, %rd3;\n").rfind("sample.ptx:13: div.approx.f32", 0) ==
        0);
  CHECK(refused("\tadd.ftz.f32 %rd4, %rd2, %rd3;\n").find("IEEE") != std::string::npos);
  CHECK(refused("\ttanh.f32 %rd4, %rd2;\n").find("not known") != std::string::npos);
  CHECK(refused("\tld.local.u32 %rd4, [%rd2];\n").find("local") != std::string::npos);
  CHECK(refused("\tadd.f16 %rd4, %rd2, %rd3;\n").find("four and eight") != std::string::npos);
  CHECK(refused("\tcvt.rn.bf16.f32 %rd4, %rd2;\n").find(".bf16") != std::string::npos);
  CHECK(refused("\tadd.rz.f32 %rd4, %rd2, %rd3;\n").find(".rz") != std::string::npos);
  CHECK(refused("\tatom.global.max.u32 %rd4, [%rd1], %rd3;\n").find(".add") != std::string::npos);
  CHECK(refused("\tbra $L_nowhere;\n").find("no label") != std::string::npos);
  CHECK(refused("\tmov.u32 %r1, %clock.x;\n").find("%clock.x") != std::string::npos);
  CHECK(refused("\tadd.s64 %rd4, %rd2, %rd3;\n") == "");
}

TEST_CASE("ptx: a launch that does not fit the kernel is refused") {
  std::string text = sample("\tadd.s64 %rd4, %rd2, %rd3;\n");
  text.replace(text.find(")\n{"), 3, ")\n.maxntid 32, 1, 1\n{");
  PtxInterpreter interpreter({{"sample.ptx", text}});
  simt::settings() = {.is_checked = true, .interpreter = &interpreter};
  const simt::Array<uint64_t> result(1);
  CHECK_THROWS_WITH_AS(kernels::cuda::launch(troupe_sample, 1, 64, 0, nullptr, result.get(), 1, 2),
                       "a block of 64 threads, where the kernel is compiled for 32",
                       simt::ptx::Error);
  kernels::cuda::launch(troupe_sample, 1, 1, 0, nullptr, result.get(), 1, 2);
  CHECK(result.values()[0] == 3);
}

#ifdef TROUPE_PTX_80

const simt::ptx::Source& source_named(const std::string& name) {
  static const std::vector<simt::ptx::Source> sources = [] {
    std::vector<simt::ptx::Source> all;
    for (const char* path : {TROUPE_PTX_80}) all.push_back(simt::ptx::read_source(path));
    return all;
  }();
  return *std::find_if(sources.begin(), sources.end(), [&](const simt::ptx::Source& source) {
    return source.name.rfind(name, 0) == 0;
  });
}

// Runs both operations of one interpreter; whether the bits are the reference's.
bool norm_is_right() {
  constexpr int64_t N = 2, D = 300;
  const std::vector<float> x(N * D, 1.5f), weight(D, 0.7f);
  const simt::Array<float> device_x(x), device_weight(weight), rstd(N);
  const simt::Array<uint16_t> y(N * D);
  kernels::cuda::rmsnorm(nullptr, {.y = y.stored(),
                                   .rstd = rstd.device(),
                                   .x = device_x.device(),
                                   .weight = device_weight.device(),
                                   .N = N,
                                   .D = D,
                                   .ldx = D,
                                   .ldy = D,
                                   .epsilon = 1e-6f});
  return has_same_bits(y.values(), cuda_reference::rmsnorm(x, weight, N, D, 1e-6f).y);
}
bool product_is_right() {
  constexpr int64_t M = 18, N = 9, K = 36, ldx = 40;
  Random random(3);
  std::vector<uint16_t> x(M * K), w(N * K), padded_w(N * 64);
  for (uint16_t& v : x) v = random.bf16(-3, 3);
  for (uint16_t& v : w) v = random.bf16(-3, 3);
  for (int64_t n = 0; n < N; ++n) std::copy_n(&w[size_t(n * K)], K, &padded_w[size_t(n * 64)]);
  const Rows<uint16_t> device_x(x, M, K, ldx);
  const simt::Array<uint16_t> device_w(padded_w);
  const simt::Array<float> y(M * N);
  kernels::cuda::gemm(nullptr, {.y = y.device(),
                                .x = device_x.stored(),
                                .w = {device_w.stored().address, N, K},
                                .M = M,
                                .ldy = N,
                                .ldx = ldx});
  return has_same_bits(y.values(), cuda_reference::product(TensorCore::kSm80, x, w, M, N, K));
}

TEST_CASE("ptx: faults in what nvcc made are found, by a check or by the bits") {
  struct Fault {
    const char* what;
    const char* file;
    const char* from;  // A regular expression; all such places are changed.
    const char* to;
    bool (*is_right)();
    ProblemKind kind;  // Where a check finds it.
    bool is_found_by_check;
  };
  const Fault faults[] = {
      {"barriers of the norm missing", "rmsnorm", "bar\\.sync\\s+0;", "", norm_is_right,
       ProblemKind::kRace, true},
      {"barriers of the product missing", "product", "bar\\.sync\\s+0;", "", product_is_right,
       ProblemKind::kRace, true},
      {"waits for copies missing", "product", "cp\\.async\\.wait_group 1;", "", product_is_right,
       ProblemKind::kCopyOnItsWay, true},
      {"copies ignore the tail", "product", "\\], 16, %r\\d+;", "], 16, 16;", product_is_right,
       ProblemKind::kNeverWritten, true},
      {"copies from nowhere", "product",
       "cp\\.async\\.cg\\.shared\\.global \\[(%r\\d+)\\], \\[(%rd\\d+)\\]",
       "cp.async.cg.shared.global [$1], [%rd0]", product_is_right, ProblemKind::kHostMemory, true},
      {"two registers of a swapped", "product",
       "\\{(%r\\d+), (%r\\d+), (%r\\d+), (%r\\d+)\\}, \\{(%r\\d+), (%r\\d+)\\}",
       "{$1, $3, $2, $4}, {$5, $6}", product_is_right, ProblemKind::kRace, false},
      {"two registers of b swapped", "product",
       "\\{(%r\\d+), (%r\\d+), (%r\\d+), (%r\\d+)\\}, \\{(%r\\d+), (%r\\d+)\\}",
       "{$1, $2, $3, $4}, {$6, $5}", product_is_right, ProblemKind::kRace, false},
      {"an addition missing", "rmsnorm", "fma\\.rn\\.f32\\s+(%f\\d+), (%f\\d+),",
       "mul.rn.f32 $1, $2,", norm_is_right, ProblemKind::kRace, false},
      {"a matrix from the next row", "product", "(ldmatrix.*)\\[(%r\\d+)\\];", "$1[$2+64];",
       product_is_right, ProblemKind::kRace, false},
  };
  for (const Fault& fault : faults) {
    CAPTURE(std::string(fault.what));
    simt::ptx::Source source = source_named(fault.file);
    const std::string before = source.text;
    source.text = std::regex_replace(before, std::regex(fault.from), fault.to);
    REQUIRE(source.text != before);
    PtxInterpreter interpreter({source});
    std::vector<simt::Problem> problems;
    bool is_right = true;
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      use({.name = "PTX",
           .tensor_core = TensorCore::kSm80,
           .is_checked = true,
           .interpreter = &interpreter},
          seed);
      is_right = fault.is_right() && is_right;
      for (const simt::Problem& problem : simt::take_problems()) problems.push_back(problem);
    }
    const std::string text = text_of(problems);
    MESSAGE(std::string(fault.what)
            << ": " << (problems.empty() ? "other bits" : problems.front().text));
    CAPTURE(text);
    if (fault.is_found_by_check) {
      CHECK(std::any_of(problems.begin(), problems.end(),
                        [&](const simt::Problem& problem) { return problem.kind == fault.kind; }));
    } else {
      CHECK(!is_right);
    }
  }
}

#endif

}  // namespace
}  // namespace troupe::tests
