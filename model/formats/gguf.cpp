#include "model/formats/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "model/formats/gguf_blocks.h"
#include "model/formats/in_quotes.h"
#include "schemas/check.h"

namespace troupe::model {

namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

using Type = GgufValue::Type;

template <class Number>
Number load(const std::byte* from) {
  Number number{};
  std::memcpy(&number, from, sizeof(number));
  return number;
}

struct TypeFacts {
  uint32_t number = 0;
  const char* name = "";
  int64_t block = 0;  // Elements.
  size_t block_bytes = 0;
  void (*dequantise)(const std::byte* in, float* out) = nullptr;  // Null: known but not read.
};

constexpr std::array kTypes = {
    TypeFacts{0, "F32", 1, 4, f32_block},
    TypeFacts{1, "F16", 1, 2, f16_block},
    TypeFacts{2, "Q4_0", 32, 18, q4_0_block},
    TypeFacts{3, "Q4_1", 32, 20, q4_1_block},
    TypeFacts{6, "Q5_0", 32, 22, q5_0_block},
    TypeFacts{7, "Q5_1", 32, 24, q5_1_block},
    TypeFacts{8, "Q8_0", 32, 34, q8_0_block},
    TypeFacts{9, "Q8_1"},
    TypeFacts{10, "Q2_K", 256, 84, q2_k_block},
    TypeFacts{11, "Q3_K", 256, 110, q3_k_block},
    TypeFacts{12, "Q4_K", 256, 144, q4_k_block},
    TypeFacts{13, "Q5_K", 256, 176, q5_k_block},
    TypeFacts{14, "Q6_K", 256, 210, q6_k_block},
    TypeFacts{15, "Q8_K"},
    TypeFacts{16, "IQ2_XXS"},
    TypeFacts{17, "IQ2_XS"},
    TypeFacts{18, "IQ3_XXS"},
    TypeFacts{19, "IQ1_S"},
    TypeFacts{20, "IQ4_NL"},
    TypeFacts{21, "IQ3_S"},
    TypeFacts{22, "IQ2_S"},
    TypeFacts{23, "IQ4_XS"},
    TypeFacts{24, "I8"},
    TypeFacts{25, "I16"},
    TypeFacts{26, "I32"},
    TypeFacts{27, "I64"},
    TypeFacts{28, "F64"},
    TypeFacts{29, "IQ1_M"},
    TypeFacts{30, "BF16", 1, 2, bf16_block},
    TypeFacts{34, "TQ1_0"},
    TypeFacts{35, "TQ2_0"},
    TypeFacts{39, "MXFP4"},
    TypeFacts{40, "NVFP4"},
};

const TypeFacts* find_type(uint32_t number) {
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(),
                                   [number](const TypeFacts& f) { return f.number == number; });
  return found == kTypes.end() ? nullptr : found;
}

const TypeFacts& facts(GgufType type) {
  const TypeFacts* found = find_type(static_cast<uint32_t>(type));
  TROUPE_CHECK(found != nullptr && found->dequantise != nullptr);
  return *found;
}

struct ValueFacts {
  const char* name;
  size_t bytes;  // 0: varies.
};

// By number.
constexpr std::array<ValueFacts, 13> kValueTypes = {{{"u8", 1},
                                                     {"i8", 1},
                                                     {"u16", 2},
                                                     {"i16", 2},
                                                     {"u32", 4},
                                                     {"i32", 4},
                                                     {"f32", 4},
                                                     {"bool", 1},
                                                     {"string", 0},
                                                     {"array", 0},
                                                     {"u64", 8},
                                                     {"i64", 8},
                                                     {"f64", 8}}};

const ValueFacts& facts(Type type) { return kValueTypes[static_cast<size_t>(type)]; }

std::optional<int64_t> integer_at(Type type, const std::byte* from) {
  switch (type) {
    case Type::kU8:
      return load<uint8_t>(from);
    case Type::kI8:
      return load<int8_t>(from);
    case Type::kU16:
      return load<uint16_t>(from);
    case Type::kI16:
      return load<int16_t>(from);
    case Type::kU32:
      return load<uint32_t>(from);
    case Type::kI32:
      return load<int32_t>(from);
    case Type::kI64:
      return load<int64_t>(from);
    case Type::kU64: {
      const auto value = load<uint64_t>(from);
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
      return static_cast<int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

std::optional<double> number_at(Type type, const std::byte* from) {
  if (type == Type::kF32) return load<float>(from);
  if (type == Type::kF64) return load<double>(from);
  constexpr int64_t kExact = int64_t{1} << 53;
  const auto integer = integer_at(type, from);
  if (!integer || *integer > kExact || *integer < -kExact) return std::nullopt;
  return static_cast<double>(*integer);
}

// All elements as `read` reads them; nothing when it has nothing for one of them.
template <class Element, class At>
std::optional<std::vector<Element>> elements(Type type, uint64_t length,
                                             std::span<const std::byte> bytes, At read) {
  const size_t size = facts(type).bytes;
  if (size == 0) return std::nullopt;
  std::vector<Element> all;
  all.reserve(length);
  for (uint64_t i = 0; i < length; ++i) {
    const auto element = read(type, bytes.data() + i * size);
    if (!element) return std::nullopt;
    all.push_back(*element);
  }
  return all;
}

}  // namespace

const char* name(GgufType type) { return facts(type).name; }

int64_t GgufTensor::rows() const {
  int64_t product = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) product *= shape[i];
  return product;
}

void dequantise(const GgufTensor& tensor, int64_t row_begin, int64_t row_end, float* out) {
  TROUPE_CHECK(0 <= row_begin && row_begin <= row_end && row_end <= tensor.rows());
  const TypeFacts& type = facts(tensor.type);
  const int64_t blocks_of_row = tensor.cols() / type.block;
  const std::byte* in =
      tensor.bytes.data() + static_cast<size_t>(row_begin * blocks_of_row) * type.block_bytes;
  for (int64_t i = 0; i < (row_end - row_begin) * blocks_of_row; ++i) {
    type.dequantise(in, out);
    in += type.block_bytes;
    out += type.block;
  }
}

std::string GgufValue::description() const {
  if (!is_array_) return facts(type_).name;
  return fmt::format("array of {} {}", length_, facts(type_).name);
}

std::optional<int64_t> GgufValue::integer() const {
  return is_array_ ? std::nullopt : integer_at(type_, bytes_.data());
}

std::optional<double> GgufValue::number() const {
  return is_array_ ? std::nullopt : number_at(type_, bytes_.data());
}

std::optional<bool> GgufValue::boolean() const {
  if (is_array_ || type_ != Type::kBool) return std::nullopt;
  return bytes_[0] != std::byte{0};
}

std::optional<std::string_view> GgufValue::text() const {
  if (is_array_ || type_ != Type::kString) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(bytes_.data()) + 8, bytes_.size() - 8);
}

std::optional<std::vector<int64_t>> GgufValue::integers() const {
  if (!is_array_) return std::nullopt;
  return elements<int64_t>(type_, length_, bytes_, integer_at);
}

std::optional<std::vector<double>> GgufValue::numbers() const {
  if (!is_array_) return std::nullopt;
  return elements<double>(type_, length_, bytes_, number_at);
}

std::optional<std::vector<std::string_view>> GgufValue::texts() const {
  if (!is_array_ || type_ != Type::kString) return std::nullopt;
  std::vector<std::string_view> all;
  all.reserve(length_);
  const std::byte* from = bytes_.data();
  for (uint64_t i = 0; i < length_; ++i) {
    const auto size = load<uint64_t>(from);
    all.emplace_back(reinterpret_cast<const char*>(from) + 8, size);
    from += 8 + size;
  }
  return all;
}

const GgufTensor* Gguf::find(std::string_view name) const {
  const auto found =
      std::lower_bound(tensors.begin(), tensors.end(), name,
                       [](const GgufTensor& t, std::string_view n) { return t.name < n; });
  return found != tensors.end() && found->name == name ? &*found : nullptr;
}

const GgufValue* Gguf::value(std::string_view key) const {
  const auto found = metadata.find(key);
  return found == metadata.end() ? nullptr : &found->second;
}

namespace {

template <class T>
Result<T> typed(const Gguf& file, std::string_view key, std::optional<T> (GgufValue::*read)() const,
                std::string_view wanted) {
  const GgufValue* value = file.value(key);
  if (value == nullptr) return invalid_argument(fmt::format("{} is missing", key));
  if (auto found = (value->*read)()) return *found;
  return invalid_argument(fmt::format("{} is {}, not {}", key, value->description(), wanted));
}

}  // namespace

Result<int64_t> Gguf::integer(std::string_view key) const {
  return typed(*this, key, &GgufValue::integer, "an integer");
}

Result<double> Gguf::number(std::string_view key) const {
  return typed(*this, key, &GgufValue::number, "a number");
}

Result<bool> Gguf::boolean(std::string_view key) const {
  return typed(*this, key, &GgufValue::boolean, "a bool");
}

Result<std::string_view> Gguf::text(std::string_view key) const {
  return typed(*this, key, &GgufValue::text, "a string");
}

// Reads from the front of the file; what it gives lies within it.
class GgufParser {
 public:
  explicit GgufParser(std::span<const std::byte> file) : file_(file) {}

  Result<Gguf> parse() {
    Gguf contents;
    if (file_.size() < 4 || std::memcmp(file_.data(), "GGUF", 4) != 0) {
      return bad("the magic GGUF is missing; not a GGUF file");
    }
    position_ = 4;
    if (!take(contents.version)) return ends();
    if (Status status = check_version(contents.version); !status) return status.error();
    uint64_t num_tensors = 0;
    uint64_t num_keys = 0;
    if (!take(num_tensors) || !take(num_keys)) return ends();
    if (num_tensors > kGgufTensorsMax || num_keys > kGgufKeysMax) {
      return bad(fmt::format("{} tensors and {} keys, at most {} and {} are allowed", num_tensors,
                             num_keys, kGgufTensorsMax, kGgufKeysMax));
    }
    for (uint64_t i = 0; i < num_keys; ++i) {
      if (Status status = key_and_value(contents.metadata); !status) return status.error();
    }
    std::vector<uint64_t> offsets;
    for (uint64_t i = 0; i < num_tensors; ++i) {
      if (Status status = tensor_info(contents.tensors, offsets); !status) return status.error();
    }
    if (Status status = place(contents, offsets); !status) return status.error();
    return contents;
  }

 private:
  Error bad(std::string_view what) const {
    return {ErrorCode::kCorruption, fmt::format("at byte {}: {}", position_, what)};
  }
  Error ends() const { return bad("the file ends before its header does"); }

  static Status check_version(uint32_t version) {
    if (version == 2 || version == 3) return ok();
    // The only number that says in which order its bytes are.
    if (version == 2u << 24 || version == 3u << 24) {
      return invalid_argument("the file is big-endian; only little-endian ones are read");
    }
    return invalid_argument(fmt::format("GGUF version {}; versions 2 and 3 are read", version));
  }

  bool has(uint64_t bytes) const { return bytes <= file_.size() - position_; }

  template <class Number>
  bool take(Number& number) {
    if (!has(sizeof(number))) return false;
    number = load<Number>(file_.data() + position_);
    position_ += sizeof(number);
    return true;
  }

  // A length and as many bytes.
  bool take_text(std::string_view& text) {
    uint64_t size = 0;
    if (!take(size) || !has(size)) return false;
    text = {reinterpret_cast<const char*>(file_.data()) + position_, size};
    position_ += size;
    return true;
  }

  Status take_name(std::string_view& text) {
    if (!take_text(text)) return ends();
    if (text.empty() || text.size() > kGgufNameBytesMax) {
      return bad(
          fmt::format("a name of {} bytes, 1 to {} are allowed", text.size(), kGgufNameBytesMax));
    }
    return ok();
  }

  Status take_type(std::string_view key, Type& type) {
    uint32_t number = 0;
    if (!take(number)) return ends();
    if (number >= kValueTypes.size()) {
      return bad(fmt::format("key {}: type {} is unknown", in_quotes(key), number));
    }
    type = static_cast<Type>(number);
    return ok();
  }

  Status key_and_value(std::map<std::string, GgufValue, std::less<>>& metadata) {
    std::string_view key;
    if (Status status = take_name(key); !status) return status;
    GgufValue value;
    if (Status status = take_type(key, value.type_); !status) return status;
    if (value.type_ == Type::kArray) {
      value.is_array_ = true;
      if (Status status = take_type(key, value.type_); !status) return status;
      if (value.type_ == Type::kArray) {
        return bad(fmt::format("key {}: arrays of arrays are not allowed", in_quotes(key)));
      }
      if (!take(value.length_)) return ends();
    }
    const size_t begin = position_;
    if (value.type_ == Type::kString) {
      // Every string takes eight bytes or more, so the file's end bounds this.
      for (uint64_t i = 0; i < value.length_; ++i) {
        std::string_view text;
        if (!take_text(text)) return ends_within(key);
      }
    } else {
      const size_t size = facts(value.type_).bytes;
      if (value.length_ > (file_.size() - position_) / size) return ends_within(key);
      position_ += value.length_ * size;
    }
    value.bytes_ = file_.subspan(begin, position_ - begin);
    if (!metadata.emplace(std::string(key), value).second) {
      return bad(fmt::format("key {} is there twice", in_quotes(key)));
    }
    return ok();
  }

  Error ends_within(std::string_view key) const {
    return bad(fmt::format("key {}: the file ends within its value", in_quotes(key)));
  }

  Status tensor_info(std::vector<GgufTensor>& tensors, std::vector<uint64_t>& offsets) {
    std::string_view tensor_name;
    if (Status status = take_name(tensor_name); !status) return status;
    const auto bad_tensor = [&](std::string_view what) {
      return bad(fmt::format("tensor {}: {}", in_quotes(tensor_name), what));
    };
    GgufTensor tensor{.name = std::string(tensor_name)};
    uint32_t rank = 0;
    if (!take(rank)) return ends();
    if (rank == 0 || rank > kGgufRankMax) {
      return bad_tensor(fmt::format("has {} dimensions, 1 to {} are allowed", rank, kGgufRankMax));
    }
    int64_t elements = 1;
    for (uint32_t i = 0; i < rank; ++i) {
      uint64_t size = 0;
      if (!take(size)) return ends();
      int64_t product = 0;
      if (size == 0 || __builtin_mul_overflow(elements, size, &product)) {
        return bad_tensor("its dimensions are not sizes");
      }
      elements = product;
      tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(size));
    }
    uint32_t number = 0;
    uint64_t offset = 0;
    if (!take(number) || !take(offset)) return ends();
    const TypeFacts* type = find_type(number);
    if (type == nullptr) return bad_tensor(fmt::format("type {} is unknown", number));
    if (type->dequantise == nullptr) {
      return invalid_argument(fmt::format(
          "tensor {} is {}; F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1 and Q2_K to Q6_K "
          "are read; fetch the model in one of these, such as Q8_0",
          in_quotes(tensor_name), type->name));
    }
    tensor.type = static_cast<GgufType>(number);
    if (tensor.cols() % type->block != 0) {
      return bad_tensor(
          fmt::format("its rows of {} elements are not blocks of {}", tensor.cols(), type->block));
    }
    size_t bytes = 0;
    if (__builtin_mul_overflow(static_cast<size_t>(elements / type->block), type->block_bytes,
                               &bytes) ||
        bytes > file_.size()) {
      return bad_tensor("is larger than the file");
    }
    // Only the length so far: where the bytes begin is known after the last tensor.
    tensor.bytes = file_.first(bytes);
    tensors.push_back(std::move(tensor));
    offsets.push_back(offset);
    return ok();
  }

  Result<uint64_t> alignment(const Gguf& contents) const {
    const GgufValue* value = contents.value("general.alignment");
    if (value == nullptr) return uint64_t{32};
    const auto bytes = value->integer();
    if (!bytes || *bytes <= 0 || !std::has_single_bit(static_cast<uint64_t>(*bytes)) ||
        static_cast<uint64_t>(*bytes) > kGgufAlignmentMax) {
      return bad(
          fmt::format("general.alignment is not a power of two up to {}", kGgufAlignmentMax));
    }
    return static_cast<uint64_t>(*bytes);
  }

  // Gives each tensor its bytes, and all of them their order.
  Status place(Gguf& contents, const std::vector<uint64_t>& offsets) const {
    const auto unit = alignment(contents);
    if (!unit) return unit.error();
    if (contents.tensors.empty()) return ok();
    const size_t begin = (position_ + *unit - 1) / *unit * *unit;
    if (begin > file_.size()) return ends();
    const auto data = file_.subspan(begin);
    std::vector<size_t> order(offsets.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&offsets](size_t a, size_t b) { return offsets[a] < offsets[b]; });
    uint64_t end = 0;
    for (size_t i : order) {
      GgufTensor& tensor = contents.tensors[i];
      const auto misplaced = [&](std::string_view what) {
        return Error{ErrorCode::kCorruption,
                     fmt::format("tensor {}: its bytes begin at {} of the data, {}",
                                 in_quotes(tensor.name), offsets[i], what)};
      };
      if (offsets[i] % *unit != 0) return misplaced("which is not aligned");
      if (offsets[i] > data.size() || tensor.bytes.size() > data.size() - offsets[i]) {
        return misplaced(fmt::format("and end behind the file's {} bytes of data", data.size()));
      }
      if (offsets[i] < end) return misplaced("within another tensor");
      end = offsets[i] + tensor.bytes.size();
      tensor.bytes = data.subspan(offsets[i], tensor.bytes.size());
    }
    std::sort(contents.tensors.begin(), contents.tensors.end(),
              [](const GgufTensor& a, const GgufTensor& b) { return a.name < b.name; });
    const auto twice = std::adjacent_find(
        contents.tensors.begin(), contents.tensors.end(),
        [](const GgufTensor& a, const GgufTensor& b) { return a.name == b.name; });
    if (twice != contents.tensors.end()) {
      return Error{ErrorCode::kCorruption,
                   fmt::format("tensor {} is there twice", in_quotes(twice->name))};
    }
    return ok();
  }

  std::span<const std::byte> file_;
  size_t position_ = 0;
};

Result<Gguf> parse_gguf(std::span<const std::byte> file) { return GgufParser(file).parse(); }

Result<GgufFile> GgufFile::open(const std::string& path) {
  auto file = MappedFile::open(path);
  if (!file) return file.error();
  auto contents = parse_gguf(file->bytes());
  if (!contents) {
    return Error{contents.error().code, fmt::format("{}: {}", path, contents.error().message)};
  }
  GgufFile opened;
  opened.file_ = *std::move(file);
  opened.contents_ = *std::move(contents);
  return opened;
}

}  // namespace troupe::model
