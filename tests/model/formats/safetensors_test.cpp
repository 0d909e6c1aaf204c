#include "model/formats/safetensors.h"

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "model/formats/file.h"
#include "model/formats/weights_hash.h"
#include "tests/support/temp_dir.h"

namespace troupe::model {
namespace {

using tests::TempDir;

template <class T>
std::span<const std::byte> bytes_of_vector(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

std::vector<std::byte> file_with(const std::string& header, size_t data_bytes) {
  const uint64_t size = header.size();
  std::vector<std::byte> file(sizeof(size) + header.size() + data_bytes);
  std::memcpy(file.data(), &size, sizeof(size));
  std::memcpy(file.data() + sizeof(size), header.data(), header.size());
  return file;
}

std::string error_of(const std::string& header, size_t data_bytes) {
  const auto result = parse_safetensors(file_with(header, data_bytes));
  return result ? "" : result.error().message;
}

struct Example {
  std::vector<uint16_t> bf16 = {1, 2, 3};
  std::vector<float> f32 = {1.5f, -2.0f};
  std::vector<TensorView> tensors = {
      {"b.weight", DType::kBF16, {3, 1}, bytes_of_vector(bf16)},
      {"z.bias", DType::kF32, {2}, bytes_of_vector(f32)},
      {"a.empty", DType::kF32, {0, 7}, {}},
  };
};

std::vector<std::byte> written(const TempDir& dir, std::span<const TensorView> tensors) {
  REQUIRE(write_safetensors(dir.file("m.safetensors"), tensors));
  const auto text = read_file(dir.file("m.safetensors"), 1 << 20);
  REQUIRE(text);
  const auto bytes = std::as_bytes(std::span(text->data(), text->size()));
  return {bytes.begin(), bytes.end()};
}

TEST_CASE("safetensors: what was written is read, in byte order of names") {
  const TempDir dir;
  const Example example;
  REQUIRE(write_safetensors(dir.file("m.safetensors"), example.tensors));
  const auto file = SafetensorsFile::open(dir.file("m.safetensors"));
  REQUIRE(file);
  REQUIRE(file->tensors().size() == 3);
  CHECK(file->tensors()[0].name == "a.empty");
  CHECK(file->tensors()[1].name == "b.weight");
  CHECK(file->metadata().at("format") == "pt");
  const TensorView* bias = file->find("z.bias");
  REQUIRE(bias != nullptr);
  CHECK(bias->dtype == DType::kF32);
  CHECK(bias->shape == std::vector<int64_t>{2});
  CHECK(std::memcmp(bias->bytes.data(), example.f32.data(), 8) == 0);
  CHECK(file->find("z.bia") == nullptr);
  CHECK(weights_sha256(file->tensors()) == weights_sha256(example.tensors));
}

TEST_CASE(
    "safetensors: tensors are aligned to their elements and the order given does not matter") {
  const TempDir dir;
  const Example example;
  const auto bytes = written(dir, example.tensors);
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  CHECK(header_bytes % 8 == 0);
  const auto contents = parse_safetensors(bytes);
  REQUIRE(contents);
  for (const TensorView& tensor : contents->tensors) {
    if (tensor.bytes.empty()) continue;
    CHECK(static_cast<size_t>(tensor.bytes.data() - bytes.data()) % bytes_of(tensor.dtype) == 0);
  }
  const std::vector<TensorView> reversed(example.tensors.rbegin(), example.tensors.rend());
  CHECK(written(dir, reversed) == bytes);
}

TEST_CASE("safetensors: writing leaves no temporary file and replaces the old one") {
  const TempDir dir;
  const Example example;
  REQUIRE(write_safetensors(dir.file("m.safetensors"), example.tensors));
  REQUIRE(write_safetensors(dir.file("m.safetensors"), std::span(example.tensors).first(1)));
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    ++files;
  }
  CHECK(files == 1);
  CHECK(SafetensorsFile::open(dir.file("m.safetensors"))->tensors().size() == 1);
}

TEST_CASE("safetensors: a file that cannot be read or written is one clear line") {
  const TempDir dir;
  const auto missing = SafetensorsFile::open(dir.file("none.safetensors"));
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ErrorCode::kInvalidArgument);
  CHECK(missing.error().message.find("none.safetensors") != std::string::npos);
  CHECK_FALSE(SafetensorsFile::open(dir.path()));
  CHECK_FALSE(write_safetensors(dir.file("no/such/folder"), {}));

  std::ofstream(dir.file("empty.safetensors"));
  const auto empty = SafetensorsFile::open(dir.file("empty.safetensors"));
  REQUIRE_FALSE(empty);
  CHECK(empty.error().code == ErrorCode::kCorruption);
}

TEST_CASE("safetensors: two tensors of one name cannot be written") {
  const TempDir dir;
  const std::vector<float> value = {1};
  const std::vector<TensorView> tensors = {{"a", DType::kF32, {1}, bytes_of_vector(value)},
                                           {"a", DType::kF32, {1}, bytes_of_vector(value)}};
  CHECK_FALSE(write_safetensors(dir.file("m.safetensors"), tensors));
  CHECK_FALSE(std::filesystem::exists(dir.file("m.safetensors")));
}

TEST_CASE("safetensors: hostile headers are refused by name") {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  CHECK(error_of(good, 8) == "");
  CHECK(error_of("{}", 0) == "");
  const auto contains = [](const std::string& header, size_t bytes, const char* what) {
    CAPTURE(header);
    const std::string error = error_of(header, bytes);
    CAPTURE(error);
    CHECK(error.find(what) != std::string::npos);
    CHECK(error.find('\n') == std::string::npos);
  };
  contains(good, 7, "not within");
  contains(good, 9, "follow the last tensor");
  contains("[]", 0, "not a JSON object");
  contains("{", 0, "not JSON");
  contains(R"({"a":1})", 0, "\"a\": is not a JSON object");
  contains(R"({"a\nb":1})", 0, "a?b");
  contains(R"({"a":{"shape":[2],"data_offsets":[0,8]}})", 8, "dtype is missing");
  contains(R"({"a":{"dtype":"F7","shape":[2],"data_offsets":[0,8]}})", 8, "\"F7\" is unknown");
  contains(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8, "not a size");
  contains(R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8, "not a size");
  contains(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8, "does not match");
  contains(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0,
           "does not match");
  contains(R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", 4,
           "9 dimensions");
  contains(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8, "not within");
  contains(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551616]}})", 8,
           "pair of sizes");
  contains(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
           R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
           8, "twice");
  contains(R"({"a":{"dtype":"F32","dtype":"F64","shape":[1],"data_offsets":[0,8]}})", 8, "twice");
  contains(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
           R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
           8, "the tensor before ends at 8");
  contains(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
           R"("b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
           12, "the tensor before ends at 4");
  contains(R"({"__metadata__":{"a":1}})", 0, "__metadata__");
  contains(std::string(100'000, '['), 0, "nested too deeply");
}

TEST_CASE("safetensors: an impossible header size is refused before it is believed") {
  std::vector<std::byte> file(16, std::byte{0xff});
  const auto result = parse_safetensors(file);
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ErrorCode::kCorruption);
}

TEST_CASE("safetensors: a file cut at any length is refused") {
  const TempDir dir;
  const auto bytes = written(dir, Example{}.tensors);
  for (size_t size = 0; size < bytes.size(); ++size) {
    REQUIRE_FALSE(parse_safetensors(std::span(bytes).first(size)));
  }
}

TEST_CASE("safetensors: mutated bytes never crash and never give a view outside the file") {
  const TempDir dir;
  const auto original = written(dir, Example{}.tensors);
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 10'000; ++i) {
    auto bytes = original;
    const int changes = 1 + static_cast<int>(random() % 3);
    for (int c = 0; c < changes; ++c) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    const auto result = parse_safetensors(bytes);
    if (!result) {
      ++refused;
      continue;
    }
    for (const TensorView& tensor : result->tensors) {
      REQUIRE(tensor_bytes(tensor.dtype, tensor.shape) == tensor.bytes.size());
      REQUIRE(tensor.bytes.data() >= bytes.data());
      REQUIRE(tensor.bytes.data() + tensor.bytes.size() <= bytes.data() + bytes.size());
    }
  }
  CHECK(refused > 1000);
  CHECK(refused < 10'000);
}

TEST_CASE("weights_hash: names, dtypes, shapes and bytes all count; the order given does not") {
  const std::vector<float> values = {1, 2};
  const std::vector<float> others = {1, 3};
  const TensorView a{"a", DType::kF32, {2}, bytes_of_vector(values)};
  const TensorView b{"b", DType::kF32, {2}, bytes_of_vector(others)};
  const auto hash = [](std::vector<TensorView> tensors) { return weights_sha256(tensors); };
  CHECK(hash({a, b}) == hash({b, a}));
  CHECK(hash({a}) != hash({{"b", a.dtype, a.shape, a.bytes}}));
  CHECK(hash({a}) != hash({{"a", DType::kI32, a.shape, a.bytes}}));
  CHECK(hash({a}) != hash({{"a", a.dtype, {1, 2}, a.bytes}}));
  CHECK(hash({a}) != hash({{"a", a.dtype, a.shape, b.bytes}}));
  // (printf '\x01\0\0\0a\x03\0\0\0F32\x01\0\0\0\x02\0\0\0\0\0\0\0'
  //  printf '\0\0\x80?\0\0\0@' | sha256sum | xxd -r -p) | sha256sum
  CHECK(hash({a}) == "d44ea0ec1c9e5b47bd2dbdfbaa6a944dc1bf87a6b90989e3ac59cf18423c95f3");
}

TEST_CASE("weights_hash: a tree over chunks of 65,536 elements, by hand") {
  std::vector<uint16_t> large(3 * 50'000);  // Two chunks and a rest.
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<uint16_t>(i * 40'503);
  std::vector<uint8_t> exact(2 * 65'536, 7);  // Two chunks and no rest.
  const TensorView b{"b", DType::kBF16, {3, 50'000}, bytes_of_vector(large)};
  const TensorView a{"a.codes", DType::kU8, {2 * 65'536}, bytes_of_vector(exact)};
  const TensorView none{"c", DType::kF32, {0, 7}, {}};

  std::vector<std::byte> bytes;
  const auto add = [&bytes](std::span<const std::byte> more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
  };
  const auto add_number = [&add](auto value) { add(std::as_bytes(std::span(&value, 1))); };
  const auto add_text = [&](std::string_view text) {
    add_number(static_cast<uint32_t>(text.size()));
    add(std::as_bytes(std::span(text.data(), text.size())));
  };
  const auto add_chunk = [&add](std::span<const std::byte> chunk) { add(sha256(chunk)); };
  add_text("a.codes");
  add_text("U8");
  add_number(uint32_t{1});
  add_number(uint64_t{131'072});
  add_chunk(a.bytes.first(65'536));
  add_chunk(a.bytes.last(65'536));
  add_text("b");
  add_text("BF16");
  add_number(uint32_t{2});
  add_number(uint64_t{3});
  add_number(uint64_t{50'000});
  add_chunk(b.bytes.first(131'072));
  add_chunk(b.bytes.subspan(131'072, 131'072));
  add_chunk(b.bytes.last(300'000 - 262'144));
  add_text("c");
  add_text("F32");
  add_number(uint32_t{2});
  add_number(uint64_t{0});
  add_number(uint64_t{7});
  CHECK(weights_sha256(std::vector{b, none, a}) == sha256_hex(bytes));

  CHECK(chunk_digests(b).size() == 3);
  CHECK(chunk_digests(b)[2] == sha256(b.bytes.last(300'000 - 262'144)));
  CHECK(chunk_digests(none).empty());
}

}  // namespace
}  // namespace troupe::model
