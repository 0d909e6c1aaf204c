// What is fuzzed. Each target is one function over bytes: libFuzzer calls it in the `fuzz` preset,
// and a test with seeded mutations of a corpus in every other build. A broken property aborts.
#pragma once

#include <cstddef>
#include <cstdint>

namespace troupe::fuzz {

namespace math_extract {
// The bytes are a response.
void fuzz_one(const uint8_t* data, size_t size);
}  // namespace math_extract

namespace math_verdict {
// A gold answer, a tab, and a candidate.
void fuzz_one(const uint8_t* data, size_t size);
}  // namespace math_verdict

namespace code_results {
// The bytes are what a box wrote: a frame, a report, a value, a response, two outputs.
void fuzz_one(const uint8_t* data, size_t size);
}  // namespace code_results

namespace gguf {
// A GGUF file, and the model in it.
void fuzz_one(const uint8_t* data, size_t size);
}  // namespace gguf

namespace safetensors {
// A safetensors file, or a config.json.
void fuzz_one(const uint8_t* data, size_t size);
}  // namespace safetensors

namespace tokenizer_json {
// The bytes are a tokenizer.json, and the end of a text that it is then used on.
void fuzz_one(const uint8_t* data, size_t size);
}  // namespace tokenizer_json

namespace collective_frame {
// The bytes are what a rank has heard from another.
void fuzz_one(const uint8_t* data, size_t size);
}  // namespace collective_frame

namespace chat_template {
// The bytes are a chat template, run on a conversation.
void fuzz_one(const uint8_t* data, size_t size);
}  // namespace chat_template

}  // namespace troupe::fuzz
