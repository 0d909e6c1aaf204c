// GGUF: the file in which llama.cpp and its kin exchange quantised models. Magic, version, counts,
// typed metadata, a list of tensors, and from an aligned offset on the tensors' bytes; versions 2
// and 3, little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/formats/mapped_file.h"
#include "schemas/result.h"

namespace troupe::model {

// The types that are read, with their numbers in the file.
enum class GgufType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
};

const char* name(GgufType type);  // "Q4_K", ...

struct GgufTensor {
  std::string name{};
  GgufType type = GgufType::kF32;
  std::vector<int64_t> shape{};  // Row-major, (..., rows, cols): the file has them the other way.
  std::span<const std::byte> bytes{};

  int64_t cols() const { return shape.empty() ? 1 : shape.back(); }
  int64_t rows() const;  // The product of all other dimensions.
};

// Rows [row_begin, row_end) of the tensor, taken as (rows, cols), into `out`, which has room for
// them. The numbers are those of ggml's reference, bit for bit. The rows must be there.
void dequantise(const GgufTensor& tensor, int64_t row_begin, int64_t row_end, float* out);

// One value of the metadata, still as bytes of the file. Each reading is nothing unless the value
// has that kind; integers of every width and sign are integers where int64_t has them.
class GgufValue {
 public:
  enum class Type : uint32_t {
    kU8 = 0,
    kI8 = 1,
    kU16 = 2,
    kI16 = 3,
    kU32 = 4,
    kI32 = 5,
    kF32 = 6,
    kBool = 7,
    kString = 8,
    kArray = 9,
    kU64 = 10,
    kI64 = 11,
    kF64 = 12,
  };

  bool is_array() const { return is_array_; }
  Type type() const { return type_; }          // Of an array: of its elements.
  uint64_t length() const { return length_; }  // Of an array: in elements; else 1.
  std::string description() const;             // "u32", "array of 3 string", ...

  std::optional<int64_t> integer() const;
  std::optional<double> number() const;  // An integer too, where double has it.
  std::optional<bool> boolean() const;
  std::optional<std::string_view> text() const;
  std::optional<std::vector<int64_t>> integers() const;
  std::optional<std::vector<double>> numbers() const;
  std::optional<std::vector<std::string_view>> texts() const;

 private:
  friend class GgufParser;

  Type type_ = Type::kU8;
  bool is_array_ = false;
  uint64_t length_ = 1;
  std::span<const std::byte> bytes_{};  // The elements, strings with their lengths.
};

inline constexpr uint64_t kGgufTensorsMax = 1 << 17;
inline constexpr uint64_t kGgufKeysMax = 1 << 16;
inline constexpr uint64_t kGgufAlignmentMax = 1 << 20;
inline constexpr size_t kGgufNameBytesMax = 1 << 16;
inline constexpr size_t kGgufRankMax = 4;

struct Gguf {
  uint32_t version = 0;
  std::vector<GgufTensor> tensors{};  // In byte order of their names.
  std::map<std::string, GgufValue, std::less<>> metadata{};

  const GgufTensor* find(std::string_view name) const;
  const GgufValue* value(std::string_view key) const;

  // kInvalidArgument, naming the key, unless it is there and of this kind.
  Result<int64_t> integer(std::string_view key) const;
  Result<double> number(std::string_view key) const;
  Result<bool> boolean(std::string_view key) const;
  Result<std::string_view> text(std::string_view key) const;
};

// Views into `file`. kCorruption, saying what and where, unless all lengths and offsets lie within
// the file, no name is there twice and no two tensors share bytes; kInvalidArgument for a whole
// file that this program does not read (a version, a big-endian file, a type of tensor by name).
// No input may crash it, and it takes memory for names and counts only, a few times what they have
// in the file.
Result<Gguf> parse_gguf(std::span<const std::byte> file);

// A mapped file with views into the mapping, see mapped_file.h.
class GgufFile {
 public:
  // kInvalidArgument when the file cannot be read, else as parse_gguf. Names the file.
  static Result<GgufFile> open(const std::string& path);

  const Gguf& contents() const { return contents_; }

 private:
  GgufFile() = default;

  MappedFile file_{};
  Gguf contents_{};
};

}  // namespace troupe::model
