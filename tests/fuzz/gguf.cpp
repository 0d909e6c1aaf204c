#include <cmath>
#include <string>
#include <vector>

#include "model/formats/gguf.h"
#include "model/formats/gguf_model.h"
#include "schemas/check.h"
#include "tests/fuzz/libfuzzer.h"

namespace troupe::fuzz::gguf {
namespace {

// Of a refusal: one line, and not the fault of this program.
void check_error(const Error& error) {
  TROUPE_CHECK(error.code == ErrorCode::kCorruption || error.code == ErrorCode::kInvalidArgument);
  TROUPE_CHECK(!error.message.empty() && error.message.find('\n') == std::string::npos);
}

void read_everything(const model::GgufValue& value) {
  TROUPE_CHECK(!value.description().empty());
  const bool is_something = value.integer() || value.number() || value.boolean() || value.text();
  TROUPE_CHECK(!value.is_array() || !is_something);
  if (const auto texts = value.texts()) {
    TROUPE_CHECK(texts->size() == value.length());
    size_t bytes = 0;
    for (const auto text : *texts) {
      for (const char c : text) bytes += c != 0;
    }
    TROUPE_CHECK(bytes < SIZE_MAX);
  }
  if (const auto all = value.integers()) TROUPE_CHECK(all->size() == value.length());
  if (const auto all = value.numbers()) TROUPE_CHECK(all->size() == value.length());
}

}  // namespace

void fuzz_one(const uint8_t* data, size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  const auto contents = model::parse_gguf(file);
  if (!contents) return check_error(contents.error());
  for (const auto& [key, value] : contents->metadata) read_everything(value);
  std::vector<float> row;
  for (const model::GgufTensor& tensor : contents->tensors) {
    TROUPE_CHECK(tensor.bytes.data() >= file.data());
    TROUPE_CHECK(tensor.bytes.data() + tensor.bytes.size() <= file.data() + file.size());
    TROUPE_CHECK(contents->find(tensor.name) == &tensor);
    row.resize(static_cast<size_t>(tensor.cols()));
    model::dequantise(tensor, 0, 1, row.data());
    model::dequantise(tensor, tensor.rows() - 1, tensor.rows(), row.data());
  }
  const auto described = model::describe_gguf(*contents, "file");
  if (!described) return check_error(described.error());
  TROUPE_CHECK(!described->config.dump().empty());
  size_t floats_left = 1 << 20;
  std::vector<float> values;
  for (const model::GgufSource& source : described->tensors) {
    TROUPE_CHECK(source.size() > 0);
    const auto count = static_cast<size_t>(source.size());
    if (count > floats_left) continue;
    floats_left -= count;
    values.assign(count, std::nanf("1"));
    model::read_as_float(source, values.data());
  }
}

}  // namespace troupe::fuzz::gguf

TROUPE_FUZZ_TARGET(gguf)
