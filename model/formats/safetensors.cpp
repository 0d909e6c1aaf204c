#include "model/formats/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "model/formats/file.h"
#include "model/formats/in_quotes.h"
#include "schemas/check.h"
#include "schemas/json_text.h"

namespace troupe::model {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are stored little-endian");

using Json = nlohmann::json;

struct DTypeFacts {
  DType dtype;
  const char* name;
  size_t bytes;
};

constexpr std::array kDTypes = {
    DTypeFacts{DType::kBool, "BOOL", 1},      DTypeFacts{DType::kU8, "U8", 1},
    DTypeFacts{DType::kI8, "I8", 1},          DTypeFacts{DType::kF8E4M3, "F8_E4M3", 1},
    DTypeFacts{DType::kF8E5M2, "F8_E5M2", 1}, DTypeFacts{DType::kU16, "U16", 2},
    DTypeFacts{DType::kI16, "I16", 2},        DTypeFacts{DType::kF16, "F16", 2},
    DTypeFacts{DType::kBF16, "BF16", 2},      DTypeFacts{DType::kU32, "U32", 4},
    DTypeFacts{DType::kI32, "I32", 4},        DTypeFacts{DType::kF32, "F32", 4},
    DTypeFacts{DType::kU64, "U64", 8},        DTypeFacts{DType::kI64, "I64", 8},
    DTypeFacts{DType::kF64, "F64", 8},
};

constexpr std::string_view kMetadataKey = "__metadata__";
constexpr int kHeaderDepthMax = 3;  // Header, tensor, list.

const DTypeFacts& facts(DType dtype) {
  const auto* found = std::find_if(kDTypes.begin(), kDTypes.end(),
                                   [dtype](const DTypeFacts& f) { return f.dtype == dtype; });
  TROUPE_CHECK(found != kDTypes.end());
  return *found;
}

Error corrupt(std::string what) { return {ErrorCode::kCorruption, std::move(what)}; }

// The header as a tree. A JSON object with a key twice would silently become its last one, and a
// deep one would cost memory for nothing, so both are looked for while the text is read.
Result<Json> parse_header(std::string_view text) {
  std::vector<std::set<std::string>> keys;
  std::string duplicate;
  bool is_too_deep = false;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start:
        if (depth >= kHeaderDepthMax) {
          is_too_deep = true;
          return false;
        }
        if (event == Json::parse_event_t::object_start) keys.emplace_back();
        return true;
      case Json::parse_event_t::object_end:
        if (!keys.empty() && depth < kHeaderDepthMax) keys.pop_back();
        return true;
      case Json::parse_event_t::key:
        if (!keys.empty() && !keys.back().insert(value.get<std::string>()).second) {
          duplicate = value.get<std::string>();
        }
        return true;
      default:
        return true;
    }
  };
  Json header = parse_json(text, watch);
  if (is_too_deep) return corrupt("the header is nested too deeply");
  if (!duplicate.empty()) return corrupt(in_quotes(duplicate) + " is there twice in the header");
  if (header.is_discarded()) return corrupt("the header is not JSON");
  if (!header.is_object()) return corrupt("the header is not a JSON object");
  return header;
}

struct Entry {
  TensorView tensor{};
  uint64_t begin = 0;
  uint64_t end = 0;
};

Result<Entry> parse_entry(const std::string& tensor_name, const Json& json, size_t data_bytes) {
  const auto bad = [&](std::string what) {
    return corrupt("tensor " + in_quotes(tensor_name) + ": " + std::move(what));
  };
  if (!json.is_object()) return bad("is not a JSON object");
  const auto dtype_json = json.find("dtype");
  const auto shape_json = json.find("shape");
  const auto offsets_json = json.find("data_offsets");
  if (dtype_json == json.end() || !dtype_json->is_string()) return bad("dtype is missing");
  if (shape_json == json.end() || !shape_json->is_array()) return bad("shape is missing");
  if (offsets_json == json.end() || !offsets_json->is_array() || offsets_json->size() != 2 ||
      !(*offsets_json)[0].is_number_unsigned() || !(*offsets_json)[1].is_number_unsigned()) {
    return bad("data_offsets is not a pair of sizes");
  }

  Entry entry{.tensor = {.name = tensor_name}};
  const auto dtype = dtype_of(dtype_json->get_ref<const std::string&>());
  if (!dtype)
    return bad("dtype " + in_quotes(dtype_json->get_ref<const std::string&>()) + " is unknown");
  entry.tensor.dtype = *dtype;
  if (shape_json->size() > kTensorRankMax) {
    return bad(fmt::format("has {} dimensions, at most {} are allowed", shape_json->size(),
                           kTensorRankMax));
  }
  for (const Json& size : *shape_json) {
    if (!size.is_number_unsigned() ||
        size.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return bad("a dimension is not a size");
    }
    entry.tensor.shape.push_back(static_cast<int64_t>(size.get<uint64_t>()));
  }
  entry.begin = (*offsets_json)[0].get<uint64_t>();
  entry.end = (*offsets_json)[1].get<uint64_t>();
  if (entry.begin > entry.end || entry.end > data_bytes) {
    return bad(fmt::format("its bytes [{}, {}) are not within the {} bytes that the file has",
                           entry.begin, entry.end, data_bytes));
  }
  const auto size = tensor_bytes(entry.tensor.dtype, entry.tensor.shape);
  if (!size || *size != entry.end - entry.begin) {
    return bad(fmt::format("its shape does not match its {} bytes", entry.end - entry.begin));
  }
  return entry;
}

Status parse_metadata(const Json& json, std::map<std::string, std::string>& metadata) {
  if (!json.is_object()) return corrupt("__metadata__ is not a JSON object");
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) return corrupt("__metadata__ " + in_quotes(key) + " is not a string");
    metadata[key] = value.get_ref<const std::string&>();
  }
  return ok();
}

// The format allows no holes: they would be a place to hide bytes that no hash of tensors sees.
Status check_tiling(std::vector<Entry> entries, size_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t position = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != position) {
      return corrupt(
          fmt::format("tensor {}: its bytes begin at {} but the tensor before ends at {}",
                      in_quotes(entry.tensor.name), entry.begin, position));
    }
    position = entry.end;
  }
  if (position != data_bytes) {
    return corrupt(fmt::format("{} bytes follow the last tensor", data_bytes - position));
  }
  return ok();
}

// The JSON of the header, within `file`.
Result<std::string_view> header_text(std::span<const std::byte> file) {
  uint64_t header_bytes = 0;
  if (file.size() < sizeof(header_bytes)) {
    return corrupt(fmt::format("{} bytes are too few for a safetensors file", file.size()));
  }
  std::memcpy(&header_bytes, file.data(), sizeof(header_bytes));
  if (header_bytes > kSafetensorsHeaderBytesMax) {
    return corrupt(fmt::format("a header of {} bytes, at most {} are allowed; not safetensors?",
                               header_bytes, kSafetensorsHeaderBytesMax));
  }
  if (header_bytes > file.size() - sizeof(header_bytes)) {
    return corrupt(
        fmt::format("the header should have {} bytes but the file ends before that", header_bytes));
  }
  const auto text = file.subspan(sizeof(header_bytes), header_bytes);
  return std::string_view(reinterpret_cast<const char*>(text.data()), text.size());
}

}  // namespace

const char* name(DType dtype) { return facts(dtype).name; }

size_t bytes_of(DType dtype) { return facts(dtype).bytes; }

std::optional<DType> dtype_of(std::string_view name) {
  for (const DTypeFacts& f : kDTypes) {
    if (f.name == name) return f.dtype;
  }
  return std::nullopt;
}

std::optional<size_t> tensor_bytes(DType dtype, std::span<const int64_t> shape) {
  size_t bytes = bytes_of(dtype);
  for (int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(bytes, static_cast<size_t>(size), &bytes)) {
      return std::nullopt;
    }
  }
  return bytes;
}

const TensorView* Safetensors::find(std::string_view name) const {
  const auto found = std::lower_bound(
      tensors.begin(), tensors.end(), name,
      [](const TensorView& tensor, std::string_view n) { return tensor.name < n; });
  return found != tensors.end() && found->name == name ? &*found : nullptr;
}

Result<Safetensors> parse_safetensors(std::span<const std::byte> file) {
  const auto text = header_text(file);
  if (!text) return text.error();
  const auto data = file.subspan(sizeof(uint64_t) + text->size());
  const auto header = parse_header(*text);
  if (!header) return header.error();

  Safetensors contents;
  std::vector<Entry> entries;
  for (const auto& [key, value] : header->items()) {
    if (key == kMetadataKey) {
      if (Status status = parse_metadata(value, contents.metadata); !status) return status.error();
      continue;
    }
    auto entry = parse_entry(key, value, data.size());
    if (!entry) return entry.error();
    entry->tensor.bytes = data.subspan(entry->begin, entry->end - entry->begin);
    contents.tensors.push_back(entry->tensor);
    entries.push_back(*std::move(entry));
  }
  if (Status status = check_tiling(std::move(entries), data.size()); !status) {
    return status.error();
  }
  std::sort(contents.tensors.begin(), contents.tensors.end(),
            [](const TensorView& a, const TensorView& b) { return a.name < b.name; });
  return contents;
}

Result<std::map<std::string, std::string>> parse_safetensors_metadata(
    std::span<const std::byte> start) {
  const auto text = header_text(start);
  if (!text) return text.error();
  const auto header = parse_header(*text);
  if (!header) return header.error();
  std::map<std::string, std::string> metadata;
  const auto found = header->find(std::string(kMetadataKey));
  if (found == header->end()) return metadata;
  if (Status status = parse_metadata(*found, metadata); !status) return status.error();
  return metadata;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  auto file = MappedFile::open(path);
  if (!file) return file.error();
  constexpr std::string_view kPointer = "version https://git-lfs";
  const auto bytes = file->bytes();
  if (bytes.size() >= kPointer.size() &&
      std::memcmp(bytes.data(), kPointer.data(), kPointer.size()) == 0) {
    return invalid_argument(path +
                            ": is a pointer of Git LFS, not the file; fetch it: git lfs pull");
  }
  auto contents = parse_safetensors(bytes);
  if (!contents) {
    return Error{contents.error().code, fmt::format("{}: {}; fetch or export the file again", path,
                                                    contents.error().message)};
  }
  SafetensorsFile opened;
  opened.file_ = *std::move(file);
  opened.contents_ = *std::move(contents);
  return opened;
}

Status write_safetensors(const std::string& path, std::span<const TensorView> tensors,
                         const std::map<std::string, std::string>& metadata,
                         Durability durability) {
  std::vector<const TensorView*> in_file;
  std::set<std::string_view> names;
  for (const TensorView& tensor : tensors) {
    TROUPE_CHECK(tensor_bytes(tensor.dtype, tensor.shape) == tensor.bytes.size());
    if (tensor.name == kMetadataKey || !names.insert(tensor.name).second) {
      return invalid_argument(fmt::format("{}: tensor name {} is reserved or there twice", path,
                                          in_quotes(tensor.name)));
    }
    in_file.push_back(&tensor);
  }
  // Wide elements first, then byte order of names: holes are not allowed, and a reader that casts
  // the mapped bytes needs every tensor aligned to its element.
  std::sort(in_file.begin(), in_file.end(), [](const TensorView* a, const TensorView* b) {
    const size_t a_bytes = bytes_of(a->dtype);
    const size_t b_bytes = bytes_of(b->dtype);
    return a_bytes != b_bytes ? a_bytes > b_bytes : a->name < b->name;
  });

  Json header = Json::object();  // Keys in byte order.
  if (!metadata.empty()) header[std::string(kMetadataKey)] = metadata;
  uint64_t offset = 0;
  for (const TensorView* tensor : in_file) {
    header[tensor->name] = {{"dtype", name(tensor->dtype)},
                            {"shape", tensor->shape},
                            {"data_offsets", {offset, offset + tensor->bytes.size()}}};
    offset += tensor->bytes.size();
  }
  std::string text = to_text(header, {.replaces_invalid = true});
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kSafetensorsHeaderBytesMax) {
    return invalid_argument(
        fmt::format("{}: {} tensors do not fit one file's header", path, tensors.size()));
  }

  const uint64_t header_bytes = text.size();
  std::vector<std::span<const std::byte>> pieces;
  pieces.push_back(std::as_bytes(std::span(&header_bytes, 1)));
  pieces.push_back(std::as_bytes(std::span(text.data(), text.size())));
  for (const TensorView* tensor : in_file) pieces.push_back(tensor->bytes);
  return write_file(path, pieces, durability);
}

}  // namespace troupe::model
