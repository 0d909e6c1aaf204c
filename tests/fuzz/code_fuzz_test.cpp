// Seeded mutations through the target of the code verifier.
#include <doctest/doctest.h>

#include "tests/fuzz/mutations.h"
#include "tests/fuzz/targets.h"

namespace troupe::fuzz {
namespace {

TEST_CASE("code fuzz: 200,000 mutated results are read within bounds or refused") {
  const std::vector<std::string> corpus = {
      "secret exit 7\nvalue Nsecret signal 0\n",
      "secret exit 14\nvalue l2:i1;s1:asecret timeout 0\n",
      "secret passed 3 3 \n",
      "secret failed 1 3 the test raised TypeError\n",
      "l3:i1;s1:af0x1p-1;",
      "d2:s1:al2:NTs1:bd1:i1;e1:F",
      "t2:g1:z1:b3:abcc0x1p+0,-0x1p+0;",
      "{\"inputs\": [[1, 2.5], \"a\"], \"outputs\": [null, {\"b\": -10000000000000000000001}]}",
      "<think>x</think>\n```python\ndef f(x):\n  return x\n```\n",
      "<answer>def f(x): return x</answer>",
      "1 2.50 -3e4\n\n+007\n1 2.5 -30000\n7\n",
  };
  const std::vector<std::string> dictionary = {
      "secret ", "exit ", "l9:", "d1:", "s999999999:", "i-1;", "l1:",    "fnan;",
      "N",       "```",   "\n",  "[[",  "</answer>",   "1e9",  "{\"a\":"};
  Mutations mutations(corpus, dictionary, 4);
  size_t bytes = 0;
  for (int i = 0; i < 200'000; ++i) {
    const std::string input = mutations.next(9000);
    bytes += input.size();
    code_results::fuzz_one(reinterpret_cast<const uint8_t*>(input.data()), input.size());
  }
  CHECK(bytes > 20 * 200'000);  // Something was tried.
}

}  // namespace
}  // namespace troupe::fuzz
