#include "tests/support/simt/ptx.h"

#include <dlfcn.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/support/simt/checker.h"
#include "tests/support/simt/memory.h"
#include "tests/support/simt/threads.h"

namespace troupe::simt {
namespace {

using ptx::Compare;
using ptx::Instruction;
using ptx::Op;
using ptx::Part;
using ptx::Type;
namespace host = kernels::cuda::host;

// One thread, at one instruction.
struct State {
  uint64_t* registers;
  const char* parameters;
  const char* file;

  uint64_t& result(const Instruction& i) const { return registers[i.operands[0]]; }
  uint64_t operand(const Instruction& i, size_t n) const { return registers[i.operands[n]]; }
};

float float_of(uint64_t x) { return std::bit_cast<float>(static_cast<uint32_t>(x)); }
uint64_t bits_of(float x) { return std::bit_cast<uint32_t>(x); }
uint64_t bits_of(double x) { return std::bit_cast<uint64_t>(x); }
template <class T>
T number_of(uint64_t x) {
  if constexpr (sizeof(T) == 8) return std::bit_cast<T>(x);
  return float_of(x);
}

uint64_t cut(uint64_t x, int bytes) {
  return bytes >= 8 ? x : x & ((uint64_t{1} << bytes * 8) - 1);
}
int64_t as_signed(uint64_t x, int bytes) {
  const int unused = 64 - bytes * 8;
  return static_cast<int64_t>(x << unused) >> unused;
}
uint64_t extended(uint64_t x, Type type) {
  return type.is_signed() ? static_cast<uint64_t>(as_signed(x, type.bytes)) : cut(x, type.bytes);
}

[[noreturn]] void unknown(const Instruction& i, const State& s) {
  std::fprintf(stderr, "%s:%d: this form of the instruction is not known\n", s.file, i.line);
  std::abort();
}

// A comparison that holds of unordered floats has a U at its end.
template <class T>
bool holds(Compare compare, T x, T y) {
  switch (compare) {
    case Compare::kEq:
      return x == y;
    case Compare::kNe:
      return x < y || x > y;
    case Compare::kLt:
      return x < y;
    case Compare::kLe:
      return x <= y;
    case Compare::kGt:
      return x > y;
    case Compare::kGe:
      return x >= y;
    case Compare::kEqU:
      return !(x < y || x > y);
    case Compare::kNeU:
      return x != y;
    case Compare::kLtU:
      return !(x >= y);
    case Compare::kLeU:
      return !(x > y);
    case Compare::kGtU:
      return !(x <= y);
    case Compare::kGeU:
      return !(x < y);
    case Compare::kNan:
      return x != x || y != y;
    case Compare::kNumber:
      return x == x && y == y;
  }
  return false;
}

// T is float or double.
template <class T>
uint64_t of_floats(const Instruction& i, const State& s) {
  const T x = number_of<T>(s.operand(i, 1));
  const T y = i.operands.size() > 2 ? number_of<T>(s.operand(i, 2)) : 0;
  switch (i.op) {
    case Op::kAbs:
      return bits_of(std::fabs(x));
    case Op::kAdd:
      return bits_of(x + y);
    case Op::kDivide:
      return bits_of(x / y);
    case Op::kFma:
      return bits_of(std::fma(x, y, number_of<T>(s.operand(i, 3))));
    case Op::kMax:
      return bits_of(std::fmax(x, y));
    case Op::kMin:
      return bits_of(std::fmin(x, y));
    case Op::kMultiply:
      return bits_of(x * y);
    case Op::kNegate:
      return bits_of(-x);
    case Op::kReciprocal:
      return bits_of(1 / x);
    case Op::kSquareRoot:
      return bits_of(std::sqrt(x));
    case Op::kSubtract:
      return bits_of(x - y);
    default:
      unknown(i, s);
  }
}

uint64_t product_of(const Instruction& i, uint64_t x, uint64_t y) {
  const int bytes = i.type.bytes;
  const uint64_t ex = extended(x, i.type), ey = extended(y, i.type);
  if (i.part == Part::kWide) return cut(ex * ey, 2 * bytes);
  if (i.part == Part::kLow) return cut(ex * ey, bytes);
  if (bytes <= 4) return cut(ex * ey >> bytes * 8, bytes);
  return i.type.is_signed()
             ? static_cast<uint64_t>(
                   static_cast<__int128>(static_cast<int64_t>(ex)) * static_cast<int64_t>(ey) >> 64)
             : static_cast<uint64_t>(static_cast<unsigned __int128>(ex) * ey >> 64);
}

uint64_t of_integers(const Instruction& i, const State& s) {
  const int bytes = i.type.bytes, bits = bytes * 8;
  const uint64_t x = s.operand(i, 1);
  const uint64_t y = i.operands.size() > 2 ? s.operand(i, 2) : 0;
  const uint64_t ex = extended(x, i.type), ey = extended(y, i.type);
  const int64_t sx = static_cast<int64_t>(ex), sy = static_cast<int64_t>(ey);
  const uint32_t shift = static_cast<uint32_t>(y);
  const bool is_signed = i.type.is_signed();
  switch (i.op) {
    case Op::kAbs:
      return cut(static_cast<uint64_t>(sx < 0 ? -sx : sx), bytes);
    case Op::kAdd:
      return cut(x + y, bytes);
    case Op::kAnd:
      return cut(x & y, bytes);
    case Op::kClz:
      return static_cast<uint64_t>(
          cut(x, bytes) == 0 ? bits : __builtin_clzll(cut(x, bytes)) - (64 - bits));
    case Op::kDivide:
      return cut(is_signed ? static_cast<uint64_t>(sx / sy) : ex / ey, bytes);
    case Op::kMad:
      return cut(product_of(i, x, y) + s.operand(i, 3), i.part == Part::kWide ? 2 * bytes : bytes);
    case Op::kMax:
      return cut((is_signed ? sx > sy : ex > ey) ? ex : ey, bytes);
    case Op::kMin:
      return cut((is_signed ? sx < sy : ex < ey) ? ex : ey, bytes);
    case Op::kMultiply:
      return product_of(i, x, y);
    case Op::kNegate:
      return cut(-x, bytes);
    case Op::kNot:
      return i.type.kind == 'p' ? x ^ 1 : cut(~x, bytes);
    case Op::kOr:
      return cut(x | y, bytes);
    case Op::kPopulation:
      return static_cast<uint64_t>(__builtin_popcountll(cut(x, bytes)));
    case Op::kRemainder:
      return cut(is_signed ? static_cast<uint64_t>(sx % sy) : ex % ey, bytes);
    case Op::kShiftLeft:
      return shift >= static_cast<unsigned>(bits) ? 0 : cut(x << shift, bytes);
    case Op::kShiftRight:
      if (is_signed)
        return cut(static_cast<uint64_t>(sx >> std::min<uint32_t>(shift, bits - 1)), bytes);
      return shift >= static_cast<unsigned>(bits) ? 0 : ex >> shift;
    case Op::kSubtract:
      return cut(x - y, bytes);
    case Op::kXor:
      return cut(x ^ y, bytes);
    default:
      unknown(i, s);
  }
}

uint64_t compared(const Instruction& i, const State& s) {
  const uint64_t x = s.operand(i, 1), y = s.operand(i, 2);
  if (i.type.is_float() && i.type.bytes == 8) {
    return holds(i.compare, number_of<double>(x), number_of<double>(y));
  }
  if (i.type.is_float()) return holds(i.compare, float_of(x), float_of(y));
  const uint64_t ex = extended(x, i.type), ey = extended(y, i.type);
  if (!i.type.is_signed()) return holds(i.compare, ex, ey);
  return holds(i.compare, static_cast<int64_t>(ex), static_cast<int64_t>(ey));
}

uint64_t converted(const Instruction& i, const State& s) {
  const uint64_t x = extended(s.operand(i, 1), i.type);
  const Type from = i.type, to = i.result;
  if (from.is_float() && to.is_float()) {
    if (from.bytes == to.bytes) return x;
    return to.bytes == 8 ? bits_of(double{float_of(x)})
                         : bits_of(static_cast<float>(number_of<double>(x)));
  }
  if (to.is_float() && to.bytes == 8) {
    return bits_of(from.is_signed() ? static_cast<double>(static_cast<int64_t>(x))
                                    : static_cast<double>(x));
  }
  if (to.is_float()) {
    // Straight to a float: by way of a double it could be rounded twice.
    return bits_of(from.is_signed() ? static_cast<float>(static_cast<int64_t>(x))
                                    : static_cast<float>(x));
  }
  if (!from.is_float()) return cut(x, to.bytes);
  if (!i.rounds_to_zero) unknown(i, s);
  // What does not fit becomes the nearest that does, a NaN zero.
  const double given = from.bytes == 8 ? number_of<double>(x) : double{float_of(x)};
  const double value = std::isnan(given) ? 0 : given;
  const double limit = std::ldexp(1.0, to.bytes * 8 - (to.is_signed() ? 1 : 0));
  if (to.bytes == 8) unknown(i, s);
  const double low = to.is_signed() ? -limit : 0;
  return cut(static_cast<uint64_t>(static_cast<int64_t>(std::clamp(value, low, limit - 1))),
             to.bytes);
}

// Shared addresses count from the beginning of the space; generic ones are the host's.
char* memory_at(const Instruction& i, uint64_t address) {
  const uint64_t at = address + static_cast<uint64_t>(i.offset);
  return i.space == ptx::Space::kShared ? space() + cut(at, 4) : reinterpret_cast<char*>(at);
}

void load_or_store(const Instruction& i, const State& s) {
  const bool loads = i.op == Op::kLoad;
  const unsigned bytes = static_cast<unsigned>(i.type.bytes);
  const size_t vector = static_cast<size_t>(i.vector);
  const size_t address_operand = loads ? vector : 0, first = loads ? 0 : 1;
  const uint64_t address = s.operand(i, address_operand);
  const auto load = [&](size_t n, const char* from) {
    uint64_t value = 0;
    std::memcpy(&value, from, bytes);
    s.registers[i.operands[n]] = extended(value, i.type);
  };
  if (i.space == ptx::Space::kParameter) {
    const char* from = s.parameters + address + i.offset;
    for (size_t n = 0; n < vector; ++n) load(n, from + n * bytes);
    return;
  }
  char* const memory = memory_at(i, address);
  access(memory, bytes * static_cast<unsigned>(vector),
         loads ? AccessKind::kRead : AccessKind::kWrite, {nullptr, {s.file, i.line}});
  for (size_t n = 0; n < vector; ++n) {
    if (loads) {
      load(n, memory + n * bytes);
    } else {
      std::memcpy(memory + n * bytes, &s.registers[i.operands[first + n]], bytes);
    }
  }
}

// Result, bits, what they are put into, where, how many.
void insert_bits(const Instruction& i, const State& s) {
  const uint64_t place = s.operand(i, 3) & 0xFF, count = s.operand(i, 4) & 0xFF;
  const uint64_t bits = static_cast<uint64_t>(i.type.bytes) * 8;
  const uint64_t mask =
      place >= bits ? 0 : (count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1) << place;
  const uint64_t inserted = place >= bits ? 0 : s.operand(i, 1) << place;
  s.result(i) = cut((s.operand(i, 2) & ~mask) | (inserted & mask), i.type.bytes);
}

// Elements of a word, the lowest first.
void pack(const Instruction& i, const State& s) {
  const int bytes = i.type.bytes / i.vector;
  uint64_t word = 0;
  for (int n = i.vector; n > 0; --n) {
    word = word << bytes * 8 | cut(s.operand(i, static_cast<size_t>(n)), bytes);
  }
  s.result(i) = word;
}
void unpack(const Instruction& i, const State& s) {
  const int bytes = i.type.bytes / i.vector;
  const uint64_t word = s.operand(i, static_cast<size_t>(i.vector));
  for (int n = 0; n < i.vector; ++n) {
    s.registers[i.operands[static_cast<size_t>(n)]] = cut(word >> n * bytes * 8, bytes);
  }
}

// d, whether the source is in range, value, lane, clamp and segments, mask.
void shuffle(const Instruction& i, const State& s) {
  const bool has_predicate = i.operands.size() == 6;
  const size_t value = has_predicate ? 2 : 1;
  const unsigned lane = running_lane();
  const unsigned by = static_cast<unsigned>(s.operand(i, value + 1));
  const unsigned limits = static_cast<unsigned>(s.operand(i, value + 2));
  // Segments of a warp are not known; ours are whole.
  if ((limits & 0x1F00) != 0) unknown(i, s);
  unsigned from = 0;
  if (i.mode == "bfly") {
    from = lane ^ by;
  } else if (i.mode == "idx") {
    from = by & 31;
  } else if (i.mode == "down") {
    from = lane + by;
  } else {
    from = by > lane ? 32 : lane - by;
  }
  const bool is_in_range = from < 32;
  const uint32_t got = host::shuffle("shfl", static_cast<uint32_t>(s.operand(i, value + 3)),
                                     static_cast<uint32_t>(s.operand(i, value)),
                                     is_in_range ? from : lane, {s.file, i.line});
  s.result(i) = got;
  if (has_predicate) s.registers[i.operands[1]] = is_in_range;
}

void multiply_matrices(const Instruction& i, const State& s) {
  float d[4];
  uint32_t a[4], b[2];
  for (size_t n = 0; n < 4; ++n) a[n] = static_cast<uint32_t>(s.operand(i, 4 + n));
  for (size_t n = 0; n < 2; ++n) b[n] = static_cast<uint32_t>(s.operand(i, 8 + n));
  for (size_t n = 0; n < 4; ++n) d[n] = float_of(s.operand(i, 10 + n));
  host::mma_m16n8k16_bf16(d, a, b, {s.file, i.line});
  for (size_t n = 0; n < 4; ++n) s.registers[i.operands[n]] = bits_of(d[n]);
}

void load_matrix(const Instruction& i, const State& s) {
  uint32_t r[4];
  const auto load =
      i.op == Op::kLoadMatrix ? host::load_matrix_x4 : host::load_matrix_x4_transposed;
  load(r, space() + cut(s.operand(i, 4) + static_cast<uint64_t>(i.offset), 4), {s.file, i.line});
  for (size_t n = 0; n < 4; ++n) s.registers[i.operands[n]] = r[n];
}

void execute(const Instruction& i, const State& s) {
  const Place place{s.file, i.line};
  switch (i.op) {
    case Op::kLoad:
    case Op::kStore:
      return load_or_store(i, s);
    case Op::kMove:
      s.result(i) = cut(s.operand(i, 1), i.type.kind == 'p' ? 8 : i.type.bytes);
      return;
    case Op::kBitInsert:
      return insert_bits(i, s);
    case Op::kPack:
      return pack(i, s);
    case Op::kUnpack:
      return unpack(i, s);
    case Op::kSelect:
      s.result(i) = s.operand(i, 3) != 0 ? s.operand(i, 1) : s.operand(i, 2);
      return;
    case Op::kSetPredicate:
      s.result(i) = compared(i, s);
      return;
    case Op::kConvert:
      s.result(i) = converted(i, s);
      return;
    case Op::kConvertAddress:
      if (i.space == ptx::Space::kShared) {
        const uint64_t base = reinterpret_cast<uint64_t>(space());
        s.result(i) = i.to_space ? s.operand(i, 1) - base : s.operand(i, 1) + base;
      } else {
        s.result(i) = s.operand(i, 1);
      }
      return;
    case Op::kBarrier:
      return host::barrier(static_cast<int>(s.operand(i, 0)),
                           i.operands.size() > 1 ? static_cast<unsigned>(s.operand(i, 1)) : 0,
                           place);
    case Op::kBarrierWarp:
      return host::sync_warp(static_cast<uint32_t>(s.operand(i, 0)), place);
    case Op::kShuffle:
      return shuffle(i, s);
    case Op::kVote:
      s.result(i) =
          host::ballot(static_cast<uint32_t>(s.operand(i, 2)), s.operand(i, 1) != 0, place);
      return;
    case Op::kMma:
      return multiply_matrices(i, s);
    case Op::kLoadMatrix:
    case Op::kLoadMatrixTransposed:
      return load_matrix(i, s);
    case Op::kCopyAsync:
      return host::copy_async(
          space() + cut(s.operand(i, 0), 4), reinterpret_cast<const void*>(s.operand(i, 1)),
          static_cast<unsigned>(s.operand(i, 2)), static_cast<unsigned>(s.operand(i, 3)), place);
    case Op::kCopyCommit:
      return host::copy_commit();
    case Op::kCopyWait:
      return host::copy_wait(static_cast<unsigned>(s.operand(i, 0)));
    case Op::kAtomicAdd:
      if (i.type.is_float() || i.type.bytes != 4) unknown(i, s);
      s.result(i) = static_cast<uint32_t>(
          host::atomic_add(reinterpret_cast<int32_t*>(memory_at(i, s.operand(i, 1))),
                           static_cast<int32_t>(s.operand(i, 2)), place));
      return;
    default:
      s.result(i) = !i.type.is_float()  ? of_integers(i, s)
                    : i.type.bytes == 8 ? of_floats<double>(i, s)
                                        : of_floats<float>(i, s);
  }
}

}  // namespace

PtxInterpreter::PtxInterpreter(const std::vector<ptx::Source>& sources) {
  for (const ptx::Source& source : sources) ptx::load(program_, source);
}

// The host's function of a kernel has the name that the kernel has in PTX.
void PtxInterpreter::prepare(const Launch& launch) {
  const auto fail = [](const std::string& what) { throw ptx::Error(what); };
  Dl_info info{};
  if (dladdr(launch.kernel, &info) == 0 || info.dli_sname == nullptr) {
    fail("a kernel has no name: the program must export its symbols");
  }
  const auto found = program_.kernels.find(info.dli_sname);
  if (found == program_.kernels.end()) fail(std::string("no kernel is called ") + info.dli_sname);
  kernel_ = &found->second;
  if (kernel_->parameters.size() != launch.num_arguments) fail("wrong number of arguments");
  const unsigned num_threads = launch.block.x * launch.block.y * launch.block.z;
  if (kernel_->threads_max != 0 && num_threads > kernel_->threads_max) {
    fail("a block of " + std::to_string(num_threads) +
         " threads, where the kernel is compiled for " + std::to_string(kernel_->threads_max));
  }
  parameters_.assign(static_cast<size_t>(kernel_->parameter_bytes), 0);
  for (size_t i = 0; i < launch.num_arguments; ++i) {
    const ptx::Parameter& parameter = kernel_->parameters[i];
    if (static_cast<size_t>(parameter.bytes) != launch.arguments[i].bytes) {
      fail("an argument has another size on the device: " + std::to_string(parameter.bytes));
    }
    std::memcpy(parameters_.data() + parameter.at, launch.arguments[i].value,
                launch.arguments[i].bytes);
  }
  registers_.resize(num_threads);
}

void PtxInterpreter::run_thread() {
  const Extent thread = host::thread_index(), block = host::block_index();
  const Extent block_extent = host::block_extent(), grid = host::grid_extent();
  const unsigned id = thread.x + block_extent.x * (thread.y + block_extent.y * thread.z);
  const ptx::Kernel& kernel = *kernel_;
  std::vector<uint64_t>& registers = registers_[id];
  registers = kernel.registers;
  const unsigned specials[ptx::kNumSpecials] = {thread.x, thread.y, thread.z,       block.x,
                                                block.y,  block.z,  block_extent.x, grid.x};
  for (int i = 0; i < ptx::kNumSpecials; ++i) registers[kernel.specials[i]] = specials[i];
  const State state{registers.data(), parameters_.data(), kernel.file};
  for (size_t next = 0; next < kernel.instructions.size();) {
    const Instruction& instruction = kernel.instructions[next++];
    ++num_instructions_;
    if (instruction.guard >= 0 &&
        (registers[instruction.guard] != 0) == instruction.guard_is_negated) {
      continue;
    }
    if (instruction.op == Op::kReturn) return;
    if (instruction.op == Op::kBranch) {
      next = static_cast<size_t>(instruction.target);
    } else {
      execute(instruction, state);
    }
  }
}

}  // namespace troupe::simt
