#include "model/formats/safetensors.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/formats/quantization.h"
#include "model/formats/tensor_reading.h"
#include "schemas/check.h"
#include "tests/fuzz/libfuzzer.h"

namespace troupe::fuzz::safetensors {

void fuzz_one(const uint8_t* data, size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  const auto check_error = [](const Error& error) {
    TROUPE_CHECK(error.code == ErrorCode::kCorruption || error.code == ErrorCode::kInvalidArgument);
    TROUPE_CHECK(!error.message.empty() && error.message.find('\n') == std::string::npos);
  };
  const auto json = nlohmann::json::parse(data, data + size, nullptr, /*allow_exceptions=*/false);
  const auto quantization = model::parse_quantization(json, "config.json");
  if (!quantization) check_error(quantization.error());

  const auto contents = model::parse_safetensors(file);
  if (!contents) return check_error(contents.error());
  std::vector<float> values;
  for (const model::TensorView& tensor : contents->tensors) {
    TROUPE_CHECK(tensor.bytes.data() >= file.data());
    TROUPE_CHECK(tensor.bytes.data() + tensor.bytes.size() <= file.data() + file.size());
    const auto bytes = model::tensor_bytes(tensor.dtype, tensor.shape);
    TROUPE_CHECK(bytes && *bytes == tensor.bytes.size());
    TROUPE_CHECK(contents->find(tensor.name) == &tensor);
    values.resize(tensor.bytes.size() / model::bytes_of(tensor.dtype));
    const auto* scale = contents->find(model::scale_inv_name(tensor.name));
    const Status read = model::read_as_float(tensor, scale, {2, 128}, values.data());
    if (!read) check_error(read.error());
  }
}

}  // namespace troupe::fuzz::safetensors

TROUPE_FUZZ_TARGET(safetensors)
