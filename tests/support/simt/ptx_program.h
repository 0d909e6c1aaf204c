// PTX as the interpreter wants it: every operand is the number of a register; constants and
// addresses of shared variables are registers that begin with their value.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace troupe::simt::ptx {

enum class Op {
  kAbs,
  kAdd,
  kAnd,
  kAtomicAdd,
  kBarrier,
  kBarrierWarp,
  kBitInsert,
  kBranch,
  kClz,
  kConvert,
  kConvertAddress,
  kCopyAsync,
  kCopyCommit,
  kCopyWait,
  kDivide,
  kFma,
  kLoad,
  kLoadMatrix,
  kLoadMatrixTransposed,
  kMad,
  kMax,
  kMin,
  kMma,
  kMove,
  kMultiply,
  kNegate,
  kNot,
  kOr,
  kPack,
  kPopulation,
  kReciprocal,
  kRemainder,
  kReturn,
  kSelect,
  kSetPredicate,
  kShiftLeft,
  kShiftRight,
  kShuffle,
  kSquareRoot,
  kStore,
  kSubtract,
  kUnpack,
  kVote,
  kXor,
};
enum class Space { kGeneric, kGlobal, kShared, kParameter };
enum class Compare {
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,
  kLtU,
  kLeU,
  kGtU,
  kGeU,
  kEqU,
  kNeU,
  kNan,
  kNumber
};
enum class Part { kLow, kHigh, kWide };  // Of an integer product.

struct Type {
  char kind = 'b';  // b, u, s, f, or p of a predicate.
  int bytes = 4;
  bool is_float() const { return kind == 'f'; }
  bool is_signed() const { return kind == 's'; }
};

struct Instruction {
  Op op = Op::kReturn;
  Type type{};    // The last one that its name has.
  Type result{};  // Of a conversion.
  Space space = Space::kGeneric;
  bool to_space = false;  // A conversion of an address: from generic.
  Compare compare = Compare::kEq;
  Part part = Part::kLow;
  std::string mode{};  // Of a shuffle.
  bool rounds_to_zero = false;
  int vector = 1;  // Elements of a load or store, or that a move puts together or takes apart.
  int guard = -1;  // Runs where this predicate holds, or does not.
  bool guard_is_negated = false;
  std::vector<int> operands{};
  int64_t offset = 0;  // Added to the address.
  int target = -1;     // Of a branch: an index of an instruction.
  int line = 0;        // In its file.
};

struct Parameter {
  int bytes = 0;
  int at = 0;  // In the parameters' bytes.
};

// What every thread has in registers from the beginning.
enum Special { kTidX, kTidY, kTidZ, kCtaidX, kCtaidY, kCtaidZ, kNtidX, kNctaidX, kNumSpecials };

struct Kernel {
  const char* file = nullptr;  // Lives as long as the program.
  unsigned threads_max = 0;    // Of a block; 0: as many as there may be.
  std::vector<Parameter> parameters{};
  int parameter_bytes = 0;
  std::vector<uint64_t> registers{};  // As a thread finds them.
  int specials[kNumSpecials] = {};    // Registers of these.
  std::vector<Instruction> instructions{};
};

struct Program {
  std::unordered_map<std::string, Kernel> kernels{};
};

// What nvcc wrote, and how reports call it.
struct Source {
  std::string name{};
  std::string text{};
};
Source read_source(const std::string& path);

// A source that cannot be run: a file that is not there, an instruction that is not known.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Adds the kernels of a source. Throws Error, which names its line.
void load(Program& program, const Source& source);

}  // namespace troupe::simt::ptx
