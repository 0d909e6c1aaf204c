#include "model/formats/tensor_reading.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "model/formats/small_floats.h"

namespace troupe::model {
namespace {

const std::string kGolden =
    std::string(TROUPE_SOURCE_DIR) + "/tests/model/golden/formats/numbers.safetensors";

// Equal bits, but one NaN is as good as another.
bool is_same(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

TEST_CASE("tensor_reading: every type is read as torch reads it") {
  const auto file = SafetensorsFile::open(kGolden);
  REQUIRE(file);
  for (const auto& [name, blocks] :
       {std::pair("f16", ScaleBlocks{}), std::pair("bf16", ScaleBlocks{}),
        std::pair("codes.weight", ScaleBlocks{}), std::pair("scaled.weight", ScaleBlocks{2, 128}),
        std::pair("f16.expected", ScaleBlocks{})}) {
    CAPTURE(name);
    const std::string expected_name =
        std::string(name) + (std::string(name) == "f16.expected" ? "" : ".expected");
    const TensorView* expected = file->find(expected_name);
    const TensorView* tensor = file->find(name);
    REQUIRE(expected != nullptr);
    REQUIRE(tensor != nullptr);
    std::vector<float> wanted(expected->bytes.size() / 4);
    std::memcpy(wanted.data(), expected->bytes.data(), expected->bytes.size());
    std::vector<float> values(wanted.size() + 1, 7.0f);
    const Status read =
        read_as_float(*tensor, file->find(scale_inv_name(name)), blocks, values.data());
    REQUIRE_MESSAGE(read, read.error().message);
    CHECK(values.back() == 7.0f);
    for (size_t i = 0; i < wanted.size(); ++i) {
      CAPTURE(i);
      REQUIRE(is_same(values[i], wanted[i]));
    }
  }
}

// Blocks of the published size on a matrix that ends one row and one column into the next ones.
TEST_CASE("tensor_reading: each block of 128 x 128 has its own scale, ragged ones too") {
  const std::vector<uint8_t> ones(129 * 257, 0x38);
  const std::vector<float> scales = {1, 2, 3, 4, 5, 6};
  const TensorView tensor{"w", DType::kF8E4M3, {129, 257}, std::as_bytes(std::span(ones))};
  const TensorView scale{"w_scale_inv", DType::kF32, {2, 3}, std::as_bytes(std::span(scales))};
  std::vector<float> values(ones.size());
  REQUIRE(read_as_float(tensor, &scale, {}, values.data()));
  for (size_t row = 0; row < 129; ++row) {
    for (size_t col = 0; col < 257; ++col) {
      REQUIRE(values[row * 257 + col] == scales[row / 128 * 3 + col / 128]);
    }
  }
  const TensorView vector{"v", DType::kF8E4M3, {5}, std::as_bytes(std::span(ones)).first(5)};
  CHECK_FALSE(read_as_float(vector, &scale, {}, values.data()));
  CHECK(read_as_float(tensor, nullptr, {}, values.data()).error().message ==
        "tensor \"w\": is F8_E4M3 but there is no \"w_scale_inv\"");
  CHECK(read_as_float(scale, &scale, {}, values.data()).error().code ==
        ErrorCode::kInvalidArgument);
}

TEST_CASE("tensor_reading: other types are refused by name") {
  const std::vector<int32_t> integers = {1};
  const TensorView tensor{"ids", DType::kI32, {1}, std::as_bytes(std::span(integers))};
  float value = 0;
  CHECK(read_as_float(tensor, nullptr, {}, &value).error().message ==
        "tensor \"ids\" is I32; F32, F16, BF16 and F8_E4M3 are read");
}

TEST_CASE("quantization: what is not FP8 with blocks is refused by name") {
  const auto parse = [](nlohmann::json quantization) {
    return parse_quantization({{"quantization_config", std::move(quantization)}}, "config.json");
  };
  CHECK_FALSE(parse(nullptr)->has_value());
  CHECK_FALSE(parse_quantization(nlohmann::json::object(), "c")->has_value());
  CHECK(**parse({{"quant_method", "fp8"}, {"fmt", "e4m3"}, {"weight_block_size", {128, 64}}}) ==
        ScaleBlocks{128, 64});
  for (const nlohmann::json& bad : {
           nlohmann::json("fp8"),
           nlohmann::json({{"quant_method", 8}}),
           nlohmann::json({{"quant_method", "gptq"}}),
           nlohmann::json({{"quant_method", "fp8"}}),
           nlohmann::json(
               {{"quant_method", "fp8"}, {"fmt", "e5m2"}, {"weight_block_size", {1, 1}}}),
           nlohmann::json({{"quant_method", "fp8"}, {"weight_block_size", 128}}),
           nlohmann::json({{"quant_method", "fp8"}, {"weight_block_size", {128}}}),
           nlohmann::json({{"quant_method", "fp8"}, {"weight_block_size", {0, 128}}}),
           nlohmann::json({{"quant_method", "fp8"}, {"weight_block_size", {-1, 128}}}),
           nlohmann::json({{"quant_method", "fp8"}, {"weight_block_size", {128, 1e300}}}),
           nlohmann::json({{"quant_method", "fp8"}, {"weight_block_size", {128, UINT64_MAX}}}),
       }) {
    CAPTURE(bad.dump());
    const auto parsed = parse(bad);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == ErrorCode::kInvalidArgument);
    CHECK(parsed.error().message.starts_with("config.json: quantization_config "));
  }
}

}  // namespace
}  // namespace troupe::model
