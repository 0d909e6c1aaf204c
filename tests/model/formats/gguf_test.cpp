#include "model/formats/gguf.h"

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "model/formats/file.h"
#include "model/formats/safetensors.h"
#include "tests/support/temp_dir.h"

namespace troupe::model {
namespace {

const std::string kGolden = std::string(TROUPE_SOURCE_DIR) + "/tests/model/golden/formats/";

// Writes a file piece by piece, right or wrong.
class Writer {
 public:
  template <class Number>
  Writer& number(Number value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  Writer& u32(uint32_t value) { return number(value); }
  Writer& u64(uint64_t value) { return number(value); }
  Writer& text(std::string_view text) {
    u64(text.size());
    bytes_ += text;
    return *this;
  }
  Writer& begin(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
    bytes_ += "GGUF";
    return u32(version).u64(tensors).u64(keys);
  }
  Writer& tensor(std::string_view name, std::vector<uint64_t> dims, uint32_t type,
                 uint64_t offset) {
    text(name).u32(static_cast<uint32_t>(dims.size()));
    for (uint64_t n : dims) u64(n);
    return u32(type).u64(offset);
  }
  Writer& data(size_t bytes, size_t alignment = 32) {
    bytes_.append((alignment - bytes_.size() % alignment) % alignment + bytes, '\0');
    return *this;
  }

  std::string_view bytes() const { return bytes_; }
  Result<Gguf> parse() const { return parse_gguf(std::as_bytes(std::span(bytes_))); }
  std::string error() const {
    const auto parsed = parse();
    return parsed ? "" : parsed.error().message;
  }

 private:
  std::string bytes_;
};

void check_refused(const Writer& writer, const char* what,
                   ErrorCode code = ErrorCode::kCorruption) {
  const auto parsed = writer.parse();
  CAPTURE(what);
  REQUIRE_FALSE(parsed);
  CAPTURE(parsed.error().message);
  CHECK(parsed.error().code == code);
  CHECK(parsed.error().message.find(what) != std::string::npos);
  CHECK(parsed.error().message.find('\n') == std::string::npos);
}

void check_dequantised(const std::string& name, size_t num_tensors) {
  const auto file = GgufFile::open(kGolden + name + ".gguf");
  REQUIRE_MESSAGE(file, file.error().message);
  const auto expected = SafetensorsFile::open(kGolden + name + ".safetensors");
  REQUIRE(expected);
  CHECK(file->contents().version == 3);
  CHECK(file->contents().tensors.size() == num_tensors);
  CHECK(file->contents().tensors.size() == expected->tensors().size());
  for (const GgufTensor& tensor : file->contents().tensors) {
    CAPTURE(tensor.name);
    const TensorView* golden = expected->find(tensor.name);
    REQUIRE(golden != nullptr);
    CHECK(golden->shape == tensor.shape);
    const auto cols = static_cast<size_t>(tensor.cols());
    const auto rows = static_cast<size_t>(tensor.rows());
    std::vector<float> all(rows * cols);
    dequantise(tensor, 0, tensor.rows(), all.data());
    CHECK(std::memcmp(all.data(), golden->bytes.data(), golden->bytes.size()) == 0);
    // The same rows one by one, and nothing beside them.
    for (size_t row = 0; row < rows; ++row) {
      std::vector<float> one(cols + 1, 7.0f);
      const auto at = static_cast<int64_t>(row);
      dequantise(tensor, at, at + 1, one.data());
      CHECK(std::memcmp(one.data(), all.data() + row * cols, cols * 4) == 0);
      CHECK(one[cols] == 7.0f);
      dequantise(tensor, at, at, nullptr);
    }
  }
}

TEST_CASE("gguf: every type of tensor is dequantised to the reference's bits") {
  check_dequantised("types", 12);
  // Random blocks of Q5_0, Q5_1, Q2_K, Q3_K and Q5_K, as PyPI's gguf 0.19 dequantises them.
  check_dequantised("more_types", 5);
  const auto file = GgufFile::open(kGolden + "types.gguf");
  REQUIRE(file);
  CHECK(std::string(name(file->contents().find("random.Q4_K")->type)) == "Q4_K");
  CHECK(file->contents().find("stack")->shape == std::vector<int64_t>{2, 3, 32});
  CHECK(file->contents().find("stac") == nullptr);
}

TEST_CASE("gguf: metadata of every type is read by key") {
  const auto opened = GgufFile::open(kGolden + "types.gguf");
  REQUIRE(opened);
  const Gguf& file = opened->contents();
  CHECK(*file.text("general.architecture") == "llama");
  CHECK(*file.text("test.string") == "grüße\n");
  CHECK(*file.integer("test.uint8") == 200);
  CHECK(*file.integer("test.int8") == -100);
  CHECK(*file.integer("test.uint16") == 60000);
  CHECK(*file.integer("test.int16") == -30000);
  CHECK(*file.integer("test.uint32") == 4000000000);
  CHECK(*file.integer("test.int32") == -2000000000);
  CHECK(*file.integer("test.int64") == -(int64_t{1} << 62));
  CHECK(*file.number("test.float32") == 0.1f);
  CHECK(*file.number("test.float64") == 0.1);
  CHECK(*file.number("test.int8") == -100.0);
  CHECK(*file.boolean("test.bool"));
  CHECK(file.value("test.strings")->texts() == std::vector<std::string_view>{"a", "", "bcd"});
  CHECK(file.value("test.integers")->integers() == std::vector<int64_t>{3, -1, 2});
  CHECK(file.value("test.floats")->numbers() == std::vector<double>{0.5, -0.25});
  CHECK(file.value("test.bools")->length() == 2);
  CHECK(file.value("test.bools")->description() == "array of 2 bool");
  // What has no int64_t or double is nothing, not another number.
  CHECK(file.integer("test.uint64").error().message == "test.uint64 is u64, not an integer");
  CHECK_FALSE(file.number("test.int64"));
  CHECK(file.integer("test.none").error().message == "test.none is missing");
  CHECK(file.integer("test.strings").error().message ==
        "test.strings is array of 3 string, not an integer");
  CHECK(file.text("test.bool").error().message == "test.bool is bool, not a string");
  CHECK(file.integer("test.float32").error().code == ErrorCode::kInvalidArgument);
  CHECK_FALSE(file.boolean("test.uint8"));
  CHECK_FALSE(file.value("test.strings")->integers());
  CHECK_FALSE(file.value("test.integers")->texts());
  CHECK_FALSE(file.value("test.floats")->integers());
}

TEST_CASE("gguf: the smallest files, and both versions") {
  CHECK(Writer().begin(0, 0).error() == "");
  CHECK(Writer().begin(0, 0, 2).error() == "");
  const auto file = Writer().begin(1, 0).tensor("a", {1}, 0, 0).data(4).parse();
  REQUIRE(file);
  CHECK(file->tensors[0].rows() == 1);
  CHECK(file->tensors[0].bytes.size() == 4);
}

TEST_CASE("gguf: other versions, byte orders and types are refused by name") {
  const auto kOther = ErrorCode::kInvalidArgument;
  check_refused(Writer().begin(0, 0, 1), "version 1", kOther);
  check_refused(Writer().begin(0, 0, 4), "version 4", kOther);
  check_refused(Writer().begin(0, 0, 3u << 24), "big-endian", kOther);
  check_refused(Writer().begin(1, 0).tensor("a", {256}, 15, 0).data(292), "\"a\" is Q8_K; F32",
                kOther);
  check_refused(Writer().begin(1, 0).tensor("a", {256}, 16, 0).data(176), "IQ2_XXS", kOther);
  check_refused(Writer().begin(1, 0).tensor("a", {256}, 4, 0).data(176), "type 4 is unknown");
}

TEST_CASE("gguf: hostile headers are refused with what and where") {
  check_refused(Writer().text("abc"), "magic");
  check_refused(Writer(), "magic");
  check_refused(Writer().begin(1, 0), "ends before its header");
  check_refused(Writer().begin(UINT64_MAX, 0), "tensors");
  check_refused(Writer().begin(0, UINT64_MAX), "keys");
  // Keys and values.
  check_refused(Writer().begin(0, 1).u64(UINT64_MAX), "at byte 32: the file ends");
  check_refused(Writer().begin(0, 1).text(""), "a name of 0 bytes");
  check_refused(Writer().begin(0, 1).text("k\n").u32(13), "key \"k?\": type 13 is unknown");
  check_refused(Writer().begin(0, 1).text("k").u32(8).u64(UINT64_MAX - 3), "\"k\": the file ends");
  check_refused(Writer().begin(0, 1).text("k").u32(9).u32(9).u64(1), "arrays of arrays");
  check_refused(Writer().begin(0, 1).text("k").u32(9).u32(4).u64(UINT64_MAX / 4 + 1).u32(1),
                "\"k\": the file ends");
  check_refused(Writer().begin(0, 1).text("k").u32(9).u32(8).u64(UINT64_MAX).text("a"),
                "\"k\": the file ends");
  check_refused(Writer().begin(0, 2).text("k").u32(4).u32(1).text("k").u32(4).u32(1), "twice");
  for (const uint32_t alignment : {0u, 3u, 1u << 21}) {
    check_refused(Writer().begin(0, 1).text("general.alignment").u32(4).u32(alignment),
                  "power of two");
  }
  check_refused(Writer().begin(0, 1).text("general.alignment").u32(8).text("32"), "power of two");
  // Tensors.
  check_refused(Writer().begin(1, 0).tensor("a", {}, 0, 0).data(4), "0 dimensions");
  check_refused(Writer().begin(1, 0).tensor("a", {1, 1, 1, 1, 1}, 0, 0).data(4), "5 dimensions");
  check_refused(Writer().begin(1, 0).tensor("a", {4, 0}, 0, 0).data(4), "not sizes");
  check_refused(Writer().begin(1, 0).tensor("a", {uint64_t{1} << 32, uint64_t{1} << 31}, 0, 0),
                "not sizes");
  check_refused(Writer().begin(1, 0).tensor("a", {UINT64_MAX}, 0, 0), "not sizes");
  check_refused(Writer().begin(1, 0).tensor("a", {uint64_t{1} << 62}, 0, 0),
                "larger than the file");
  check_refused(Writer().begin(1, 0).tensor("a", {48}, 8, 0).data(64), "blocks of 32");
  check_refused(Writer().begin(1, 0).tensor("a", {128, 2}, 12, 0).data(144), "blocks of 256");
  // Q5_0, Q5_1, Q2_K, Q3_K and Q5_K, whose 256 elements have this many bytes.
  for (const auto& [type, bytes] :
       {std::pair(6u, size_t{176}), {7u, 192}, {10u, 84}, {11u, 110}, {13u, 176}}) {
    check_refused(Writer().begin(1, 0).tensor("a", {48}, type, 0).data(512), "are not blocks of");
    check_refused(Writer().begin(1, 0).tensor("a", {uint64_t{1} << 62}, type, 0),
                  "larger than the file");
    check_refused(Writer().begin(1, 0).tensor("a", {256}, type, 0).data(bytes - 1),
                  "and end behind the file's");
    CHECK(Writer().begin(1, 0).tensor("a", {256}, type, 0).data(bytes).error() == "");
  }
  check_refused(Writer().begin(1, 0).tensor("a", {2}, 0, 0).data(7), "behind the file's 7 bytes");
  check_refused(Writer().begin(1, 0).tensor("a", {1}, 0, 32).data(4), "behind the file's 4 bytes");
  check_refused(Writer().begin(1, 0).tensor("a", {1}, 0, UINT64_MAX - 31).data(4), "behind");
  check_refused(Writer().begin(1, 0).tensor("a", {1}, 0, 4).data(40), "not aligned");
  check_refused(Writer().begin(2, 0).tensor("a", {16}, 0, 0).tensor("b", {1}, 0, 32).data(64),
                "\"b\": its bytes begin at 32 of the data, within another");
  check_refused(Writer().begin(2, 0).tensor("a", {1}, 0, 0).tensor("a", {1}, 0, 32).data(64),
                "\"a\" is there twice");
}

TEST_CASE("gguf: a file cut at any length of its header is refused") {
  const auto whole = read_file(kGolden + "types.gguf", 1 << 20);
  REQUIRE(whole);
  const auto bytes = std::as_bytes(std::span(*whole));
  const auto contents = parse_gguf(bytes);
  REQUIRE(contents);
  const auto data =
      static_cast<size_t>(contents->find("quantised.F32")->bytes.data() - bytes.data());
  for (size_t size = 0; size < data; ++size) REQUIRE_FALSE(parse_gguf(bytes.first(size)));
}

TEST_CASE("gguf: files that cannot be read are named") {
  const tests::TempDir dir;
  const auto missing = GgufFile::open(dir.file("none.gguf"));
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ErrorCode::kInvalidArgument);
  CHECK(missing.error().message.find("none.gguf") != std::string::npos);
  CHECK_FALSE(GgufFile::open(dir.path()));
  std::ofstream(dir.file("empty.gguf"));
  const auto empty = GgufFile::open(dir.file("empty.gguf"));
  REQUIRE_FALSE(empty);
  CHECK(empty.error().code == ErrorCode::kCorruption);
  CHECK(empty.error().message.find("empty.gguf") != std::string::npos);
}

}  // namespace
}  // namespace troupe::model
