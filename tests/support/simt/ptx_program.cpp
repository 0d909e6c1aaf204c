#include "tests/support/simt/ptx_program.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "kernels/cuda/host.h"
#include "tests/support/simt/memory.h"

namespace troupe::simt::ptx {
namespace {

const char* const kSpecialNames[kNumSpecials] = {"%tid.x",   "%tid.y",   "%tid.z",  "%ctaid.x",
                                                 "%ctaid.y", "%ctaid.z", "%ntid.x", "%nctaid.x"};

const std::unordered_map<std::string, Op>& ops() {
  static const std::unordered_map<std::string, Op> all = {
      {"abs", Op::kAbs},
      {"add", Op::kAdd},
      {"and", Op::kAnd},
      {"atom", Op::kAtomicAdd},
      {"bfi", Op::kBitInsert},
      {"bra", Op::kBranch},
      {"clz", Op::kClz},
      {"cvt", Op::kConvert},
      {"cvta", Op::kConvertAddress},
      {"div", Op::kDivide},
      {"exit", Op::kReturn},
      {"fma", Op::kFma},
      {"ld", Op::kLoad},
      {"ldmatrix", Op::kLoadMatrix},
      {"mad", Op::kMad},
      {"max", Op::kMax},
      {"min", Op::kMin},
      {"mma", Op::kMma},
      {"mov", Op::kMove},
      {"mul", Op::kMultiply},
      {"neg", Op::kNegate},
      {"not", Op::kNot},
      {"or", Op::kOr},
      {"popc", Op::kPopulation},
      {"rcp", Op::kReciprocal},
      {"rem", Op::kRemainder},
      {"ret", Op::kReturn},
      {"selp", Op::kSelect},
      {"setp", Op::kSetPredicate},
      {"shfl", Op::kShuffle},
      {"shl", Op::kShiftLeft},
      {"shr", Op::kShiftRight},
      {"sqrt", Op::kSquareRoot},
      {"st", Op::kStore},
      {"sub", Op::kSubtract},
      {"vote", Op::kVote},
      {"xor", Op::kXor},
  };
  return all;
}

// Instructions with one form that we know.
const std::unordered_map<std::string, Op>& whole_ops() {
  static const std::unordered_map<std::string, Op> all = {
      {"bar.sync", Op::kBarrier},
      {"barrier.sync", Op::kBarrier},
      {"bar.warp.sync", Op::kBarrierWarp},
      {"cp.async.cg.shared.global", Op::kCopyAsync},
      {"cp.async.commit_group", Op::kCopyCommit},
      {"cp.async.wait_group", Op::kCopyWait},
  };
  return all;
}
constexpr const char* kMmaName = "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32";
constexpr const char* kLoadMatrixName = "ldmatrix.sync.aligned.m8n8.x4.shared.b16";
constexpr const char* kLoadTransposedName = "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16";

// Parts of a name that say nothing to us: rounding to nearest, low halves, and what must be so.
const std::set<std::string>& plain_parts() {
  static const std::set<std::string> all = {"rn", "lo", "uni", "sync", "ballot", "add", "nc"};
  return all;
}

const std::unordered_map<std::string, Compare>& compares() {
  static const std::unordered_map<std::string, Compare> all = {
      {"eq", Compare::kEq},   {"ne", Compare::kNe},   {"lt", Compare::kLt},
      {"le", Compare::kLe},   {"gt", Compare::kGt},   {"ge", Compare::kGe},
      {"lo", Compare::kLt},   {"ls", Compare::kLe},   {"hi", Compare::kGt},
      {"hs", Compare::kGe},   {"ltu", Compare::kLtU}, {"leu", Compare::kLeU},
      {"gtu", Compare::kGtU}, {"geu", Compare::kGeU}, {"equ", Compare::kEqU},
      {"neu", Compare::kNeU}, {"nan", Compare::kNan}, {"num", Compare::kNumber},
  };
  return all;
}

std::vector<std::string> split(const std::string& text, const char* separators) {
  std::vector<std::string> parts;
  size_t at = 0;
  while ((at = text.find_first_not_of(separators, at)) != std::string::npos) {
    const size_t end = std::min(text.find_first_of(separators, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end;
  }
  return parts;
}

bool is_type(const std::string& part) {
  return part == "pred" ||
         (part.size() >= 2 && std::string("busf").find(part[0]) != std::string::npos &&
          std::all_of(part.begin() + 1, part.end(), [](char c) { return std::isdigit(c) != 0; }));
}
Type type_of(const std::string& part) {
  if (part == "pred") return {'p', 1};
  return {part[0], std::atoi(part.c_str() + 1) / 8};
}

class Reader {
 public:
  Reader(Program& program, const Source& source) : program_(program), source_(source) {
    // Reports name the source for as long as the program runs.
    static std::set<std::string> names;
    name_ = names.insert(source.name).first->c_str();
  }

  void read() {
    std::istringstream lines(source_.text);
    std::string header;  // Of a kernel, until its closing parenthesis.
    for (std::string text; std::getline(lines, text);) {
      ++line_;
      text = text.substr(0, text.find("//"));
      const size_t begin = text.find_first_not_of(" \t");
      if (begin == std::string::npos) continue;
      text = text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
      if (!header.empty() || text.find(".entry ") != std::string::npos) {
        header += text + " ";
        if (text.find(')') == std::string::npos) continue;
        begin_kernel(header);
        header.clear();
      } else if (text == "}") {
        end_kernel();
      } else if (text[0] == '$') {
        labels_[text.substr(0, text.find(':'))] = static_cast<int>(kernel_->instructions.size());
      } else if (text[0] == '.') {
        if (text.find(".shared ") != std::string::npos) declare_shared(text);
        if (text.rfind(".maxntid", 0) == 0) read_threads_max(text);
      } else if (text != "{") {
        read_instruction(text);
      }
    }
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(source_.name + ":" + std::to_string(line_) + ": " + what);
  }

  // ".visible .entry NAME( .param .u64 NAME_param_0, .param .align 8 .b8 NAME_param_1[88] )"
  void begin_kernel(const std::string& header) {
    const size_t name = header.find(".entry ") + 7, open = header.find('(', name);
    kernel_ = &program_.kernels[header.substr(name, open - name)];
    *kernel_ = Kernel{};
    kernel_->file = name_;
    slots_.clear();
    parameters_.clear();
    for (int i = 0; i < kNumSpecials; ++i) kernel_->specials[i] = slot(kSpecialNames[i]);
    const std::string list = header.substr(open + 1, header.find(')', open) - open - 1);
    for (const std::string& parameter : split(list, ",")) {
      const auto words = split(parameter, " \t[]");
      if (words.empty()) continue;
      const bool is_array = parameter.find('[') != std::string::npos;
      const std::string& parameter_name = words[words.size() - (is_array ? 2 : 1)];
      const std::string& type = words[words.size() - (is_array ? 3 : 2)];
      const int bytes =
          type_of(type.substr(1)).bytes * (is_array ? std::atoi(words.back().c_str()) : 1);
      parameters_[parameter_name] = kernel_->parameter_bytes;
      kernel_->parameters.push_back({bytes, kernel_->parameter_bytes});
      kernel_->parameter_bytes += (bytes + 7) / 8 * 8;
    }
  }

  void end_kernel() {
    for (const auto& [instruction, label] : branches_) {
      const auto found = labels_.find(label);
      if (found == labels_.end()) fail("there is no label " + label);
      kernel_->instructions[static_cast<size_t>(instruction)].target = found->second;
    }
    branches_.clear();
    labels_.clear();
  }

  // ".shared .align 4 .b8 NAME[32];", ".shared .align 4 .f32 NAME;", or ".extern ... NAME[];"
  void declare_shared(const std::string& text) {
    const auto words = split(text, " \t;");
    const std::string& name = words.back();
    const size_t open = name.find('[');
    const int element = type_of(words[words.size() - 2].substr(1)).bytes;
    const void* address = nullptr;
    if (text.find(".extern") != std::string::npos) {
      address = kernels::cuda::host::dynamic_shared();
    } else {
      const int count = open == std::string::npos ? 1 : std::atoi(name.c_str() + open + 1);
      address = kernels::cuda::host::shared_slot(static_cast<size_t>(element * count));
    }
    shared_[name.substr(0, open)] = offset_in_space(address);
  }

  // ".maxntid 256, 1, 1"
  void read_threads_max(const std::string& text) {
    kernel_->threads_max = 1;
    for (const std::string& extent : split(text.substr(text.find(' ')), " ,")) {
      kernel_->threads_max *= static_cast<unsigned>(std::atoi(extent.c_str()));
    }
  }

  // The register that an operand is.
  int slot(const std::string& operand) {
    const auto [found, is_new] =
        slots_.emplace(operand, static_cast<int>(kernel_->registers.size()));
    if (!is_new) return found->second;
    uint64_t value = 0;
    if (const auto shared = shared_.find(operand); shared != shared_.end()) {
      value = shared->second;
    } else if (const auto parameter = parameters_.find(operand); parameter != parameters_.end()) {
      value = static_cast<uint64_t>(parameter->second);
    } else if (operand.rfind("0f", 0) == 0 || operand.rfind("0F", 0) == 0 ||
               operand.rfind("0d", 0) == 0 || operand.rfind("0D", 0) == 0) {
      value = std::strtoull(operand.c_str() + 2, nullptr, 16);  // The bits of a float or double.
    } else if (std::isdigit(operand[0]) != 0 || operand[0] == '-') {
      value = operand[0] == '-' ? static_cast<uint64_t>(std::strtoll(operand.c_str(), nullptr, 0))
                                : std::strtoull(operand.c_str(), nullptr, 0);
    } else if (operand == "WARP_SZ") {
      value = 32;
    } else if (operand[0] != '%' || operand.find('.') != std::string::npos) {
      // Registers have no point in their names; those that have one are specials.
      if (std::find(std::begin(kSpecialNames), std::end(kSpecialNames), operand) ==
          std::end(kSpecialNames)) {
        fail("the operand " + operand + " is not known");
      }
    }
    kernel_->registers.push_back(value);
    return found->second;
  }

  void decode_name(Instruction& instruction, const std::string& name) {
    const std::vector<std::string> parts = split(name, ".");
    for (const char* banned : {"approx", "ftz", "full"}) {
      if (std::find(parts.begin(), parts.end(), banned) != parts.end()) {
        fail(name + " is not arithmetic of IEEE, so no two machines need to agree on it");
      }
    }
    if (const auto whole = whole_ops().find(name); whole != whole_ops().end()) {
      instruction.op = whole->second;
      return;
    }
    const auto found = ops().find(parts[0]);
    if (found == ops().end()) fail("the instruction " + name + " is not known");
    instruction.op = found->second;
    if (instruction.op == Op::kMma || instruction.op == Op::kLoadMatrix) {
      if (name == kLoadTransposedName) instruction.op = Op::kLoadMatrixTransposed;
      if (name == kMmaName || name == kLoadMatrixName || name == kLoadTransposedName) return;
      fail("of this instruction another form is known, not " + name);
    }
    const auto needs = [&](const char* part) {
      if (std::find(parts.begin(), parts.end(), part) == parts.end()) {
        fail("of this instruction the form ." + std::string(part) + " is known, not " + name);
      }
    };
    if (instruction.op == Op::kAtomicAdd) needs("add");
    if (instruction.op == Op::kVote) needs("ballot");
    std::vector<Type> types;
    for (size_t i = 1; i < parts.size(); ++i) {
      const std::string& part = parts[i];
      if (is_type(part)) {
        types.push_back(type_of(part));
      } else if (part == "global" || part == "shared" || part == "param") {
        instruction.space = part == "global"   ? Space::kGlobal
                            : part == "shared" ? Space::kShared
                                               : Space::kParameter;
      } else if (part == "local" || part == "const") {
        fail("memory of the kind " + part + " is not known");
      } else if (part == "to") {
        instruction.to_space = true;
      } else if (part == "wide" || part == "hi") {
        // Of a comparison it is no part of a product.
        if (instruction.op == Op::kMultiply || instruction.op == Op::kMad) {
          instruction.part = part == "wide" ? Part::kWide : Part::kHigh;
        } else {
          instruction.compare = Compare::kGt;
        }
      } else if (part == "rzi") {
        instruction.rounds_to_zero = true;
      } else if (part == "v2" || part == "v4") {
        instruction.vector = part[1] - '0';
      } else if (instruction.op == Op::kSetPredicate && compares().count(part) != 0) {
        instruction.compare = compares().at(part);
      } else if (instruction.op == Op::kSetPredicate) {
        fail("the comparison " + name + " is not known");
      } else if (instruction.op == Op::kShuffle && part != "sync") {
        instruction.mode = part;
      } else if (plain_parts().count(part) == 0) {
        fail("of " + name + " the part ." + part + " is not known");
      }
    }
    if (!types.empty()) instruction.type = types.back();
    if (types.size() > 1) instruction.result = types[types.size() - 2];
    if (instruction.type.is_float() && instruction.type.bytes < 4) {
      fail(name + ": only floats of four and eight bytes are known");
    }
  }

  void read_instruction(std::string text) {
    if (kernel_ == nullptr || text.back() != ';') fail("not an instruction: " + text);
    text.pop_back();
    Instruction instruction;
    instruction.line = line_;
    if (text[0] == '@') {
      const size_t space = text.find_first_of(" \t");
      instruction.guard_is_negated = text[1] == '!';
      const size_t name = instruction.guard_is_negated ? 2 : 1;
      instruction.guard = slot(text.substr(name, space - name));
      text = text.substr(text.find_first_not_of(" \t", space));
    }
    const std::string name = text.substr(0, text.find_first_of(" \t"));
    decode_name(instruction, name);
    for (std::string operand : split(text.substr(name.size()), " \t,{}|")) {
      if (instruction.op == Op::kBranch) {
        branches_.emplace_back(static_cast<int>(kernel_->instructions.size()), operand);
        continue;
      }
      if (operand[0] == '[') {
        operand = operand.substr(1, operand.size() - 2);
        const size_t plus = operand.find('+');
        if (plus != std::string::npos) {
          instruction.offset = std::strtoll(operand.c_str() + plus + 1, nullptr, 0);
          operand = operand.substr(0, plus);
        }
      }
      instruction.operands.push_back(slot(operand));
    }
    if (instruction.op == Op::kMove && instruction.operands.size() > 2) {
      const bool unpacks = text.find('{') < text.find('%');
      instruction.op = unpacks ? Op::kUnpack : Op::kPack;
      instruction.vector = static_cast<int>(instruction.operands.size()) - 1;
    }
    kernel_->instructions.push_back(std::move(instruction));
  }

  Program& program_;
  const Source& source_;
  const char* name_ = nullptr;
  int line_ = 0;
  Kernel* kernel_ = nullptr;
  std::unordered_map<std::string, int> slots_{};
  std::unordered_map<std::string, int> parameters_{};   // Where they are in the parameters' bytes.
  std::unordered_map<std::string, uint64_t> shared_{};  // Addresses.
  std::unordered_map<std::string, int> labels_{};
  std::vector<std::pair<int, std::string>> branches_{};
};

}  // namespace

Source read_source(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Error(path + " cannot be opened");
  std::ostringstream text;
  text << file.rdbuf();
  return {path.substr(path.rfind('/') + 1), text.str()};
}

void load(Program& program, const Source& source) { Reader(program, source).read(); }

}  // namespace troupe::simt::ptx
