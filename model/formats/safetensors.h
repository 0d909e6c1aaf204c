// Safetensors: the file of named tensors that checkpoints are exchanged in. An 8-byte little-endian
// header size, a JSON header {name: {dtype, shape, data_offsets}}, then the tensors' bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/formats/file.h"
#include "model/formats/mapped_file.h"
#include "schemas/result.h"

namespace troupe::model {

enum class DType : uint8_t {
  kBool,
  kU8,
  kI8,
  kF8E4M3,
  kF8E5M2,
  kU16,
  kI16,
  kF16,
  kBF16,
  kU32,
  kI32,
  kF32,
  kU64,
  kI64,
  kF64,
};

const char* name(DType dtype);  // As in the header: "BF16", "F8_E4M3", ...
size_t bytes_of(DType dtype);   // Of one element.
std::optional<DType> dtype_of(std::string_view name);

inline constexpr size_t kSafetensorsHeaderBytesMax = 100'000'000;  // As in the reference library.
inline constexpr size_t kTensorRankMax = 8;

// A tensor whose bytes (row-major, little-endian) live elsewhere.
struct TensorView {
  std::string name{};
  DType dtype = DType::kBF16;
  std::vector<int64_t> shape{};
  std::span<const std::byte> bytes{};
};

// Element count times element size; nothing when that is not a size.
std::optional<size_t> tensor_bytes(DType dtype, std::span<const int64_t> shape);

struct Safetensors {
  std::vector<TensorView> tensors{};  // In byte order of their names.
  std::map<std::string, std::string> metadata{};

  const TensorView* find(std::string_view name) const;
};

// Views into `file`. kCorruption, naming the tensor, unless the header is well formed, every shape
// matches its bytes and the tensors tile the rest of the file exactly. No input may crash it.
Result<Safetensors> parse_safetensors(std::span<const std::byte> file);

// Only the metadata. `start` is a file's, with the header in it; tensors are not looked at.
Result<std::map<std::string, std::string>> parse_safetensors_metadata(
    std::span<const std::byte> start);

// A mapped file with views into the mapping, see mapped_file.h.
class SafetensorsFile {
 public:
  // kInvalidArgument when the file cannot be read, else as parse_safetensors.
  static Result<SafetensorsFile> open(const std::string& path);

  const std::vector<TensorView>& tensors() const { return contents_.tensors; }
  const std::map<std::string, std::string>& metadata() const { return contents_.metadata; }
  const TensorView* find(std::string_view name) const { return contents_.find(name); }

 private:
  SafetensorsFile() = default;

  MappedFile file_{};
  Safetensors contents_{};
};

// Writes `tensors`, in any order, as one file that is there whole or not at all. The same tensors
// give the same bytes. kInvalidArgument when two names are equal or one is reserved; the bytes of
// every tensor must match its shape.
Status write_safetensors(const std::string& path, std::span<const TensorView> tensors,
                         const std::map<std::string, std::string>& metadata = {{"format", "pt"}},
                         Durability durability = Durability::kSynced);

}  // namespace troupe::model
