// Seeded mutations through the targets of the mathematics verifier.
#include <doctest/doctest.h>

#include "tests/fuzz/math_corpus.h"
#include "tests/fuzz/mutations.h"
#include "tests/fuzz/targets.h"

namespace troupe::fuzz {
namespace {

void run(void (*fuzz_one)(const uint8_t*, size_t), uint64_t seed, size_t count) {
  constexpr size_t kBytesMax = 9000;
  Mutations mutations(math_corpus(), math_dictionary(), seed);
  size_t bytes = 0;
  for (size_t i = 0; i < count; ++i) {
    const std::string input = mutations.next(kBytesMax);
    bytes += input.size();
    fuzz_one(reinterpret_cast<const uint8_t*>(input.data()), input.size());
  }
  CHECK(bytes > 20 * count);  // Something was tried.
}

TEST_CASE("math fuzz: 30,000 mutated pairs have a verdict within its limits") {
  run(math_verdict::fuzz_one, 1, 30'000);
}

TEST_CASE("math fuzz: 20,000 mutated responses have an answer or a reason") {
  run(math_extract::fuzz_one, 2, 20'000);
}

}  // namespace
}  // namespace troupe::fuzz
