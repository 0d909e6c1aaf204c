#include "actors/verifier/code/value.h"

#include <doctest/doctest.h>

#include <string>

#include "kernels/random.h"

namespace troupe::actors {
namespace {

Value json(const std::string& text) {
  CAPTURE(text);
  auto value = value_from_json(text);
  REQUIRE_MESSAGE(value, value.error().message);
  return *value;
}

bool matches(const std::string& result, const std::string& expected) {
  return is_expected(json(result), json(expected));
}

TEST_CASE("value: what JSON writes survives the bytes that boxes exchange") {
  for (const char* text : {"null", "true", "-12", "123456789012345678901234567890", "0.1",
                           "-1e-300", "\"\"", "\"caf\\u00e9 \\n\"", "[]", "{}",
                           "[1,[2,[3,{\"a\":null}]]]", "{\"a\":[1.5,false],\"b\":{}}", "1e308"}) {
    CAPTURE(text);
    const Value value = json(text);
    const auto again = decode(encode(value));
    REQUIRE(again);
    CHECK(encode(*again) == encode(value));
  }
  CHECK(encode(json("[1,\"a\",0.5]")) == "l3:i1;s1:af0x1p-1;");
}

TEST_CASE("value: integers keep all of their digits") {
  CHECK(matches("1000000000000000000000000000001", "1000000000000000000000000000001"));
  CHECK_FALSE(matches("1000000000000000000000000000000", "1000000000000000000000000000001"));
}

TEST_CASE("value: what is expected") {
  CHECK(matches("5", "5.0"));
  CHECK(matches("5.0", "5"));
  CHECK(matches("0.30000000000000004", "0.3"));
  CHECK(matches("{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}"));
  CHECK_FALSE(matches("0.3001", "0.3"));
  CHECK_FALSE(matches("5.1", "5"));
  CHECK_FALSE(matches("9007199254740992.0", "9007199254740993"));
  CHECK_FALSE(matches("true", "1"));
  CHECK_FALSE(matches("1", "true"));
  CHECK_FALSE(matches("\"1\"", "1"));
  CHECK_FALSE(matches("[1,2]", "[2,1]"));
  CHECK_FALSE(matches("[1,2]", "[1,2,3]"));
  CHECK_FALSE(matches("{\"a\":1}", "{\"a\":1,\"b\":2}"));
  CHECK_FALSE(matches("null", "0"));
  CHECK_FALSE(matches("[]", "{}"));
}

TEST_CASE("value: a program's types that JSON has not") {
  const auto is = [](const char* bytes, const std::string& expected) {
    const auto value = decode(bytes);
    REQUIRE(value);
    return is_expected(*value, json(expected));
  };
  CHECK(is("t2:i1;i2;", "[1,2]"));  // A tuple, as json.dumps writes it.
}

TEST_CASE("value: keys of dictionaries may be integers") {
  const auto value = decode("d1:i1;s1:a");
  REQUIRE(value);
  CHECK(is_expected(*value, json("{\"1\":\"a\"}")));
  const auto set = decode("e2:i1;i2;");
  REQUIRE(set);
  CHECK_FALSE(is_expected(*set, json("[1,2]")));
}

TEST_CASE("value: hostile texts and bytes are refused") {
  CHECK_FALSE(value_from_json(""));
  CHECK_FALSE(value_from_json("[1"));
  CHECK_FALSE(value_from_json("1 2"));
  CHECK_FALSE(value_from_json(std::string(1'000'000, '[')));
  for (const char* bytes : {"", "i;", "i1", "i01;", "i1;i2;", "i1_0;", "s5:abc",
                            "s-1:", "s999999999:", "l1000000:", "l2:N", "fzz;", "f;", "o1:1:a", "q",
                            "d1:N", "i-;", "s1a:b"}) {
    CAPTURE(bytes);
    CHECK_FALSE(decode(bytes));
  }
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "l1:";
  CHECK_FALSE(decode(deep + "N"));
}

TEST_CASE("value: any change of valid bytes is refused or read as a value") {
  const std::string good = encode(json("{\"a\":[1,2.5,\"text\",null,true],\"b\":{\"c\":[[]]}}"));
  kernels::RandomStream random(7, kernels::StreamId::kMakeData, 0, 99);
  int num_read = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string bytes = good;
    for (uint64_t changes = 1 + random.below(4); changes > 0; --changes) {
      const size_t at = random.below(bytes.size());
      switch (random.below(3)) {
        case 0:
          bytes[at] = static_cast<char>(random.below(256));
          break;
        case 1:
          bytes.erase(at, 1 + random.below(3));
          break;
        default:
          bytes.insert(at, 1, good[random.below(good.size())]);
      }
      if (bytes.empty()) bytes = "N";
    }
    const auto value = decode(bytes);
    if (!value) continue;
    ++num_read;
    CHECK(decode(encode(*value)));
  }
  CHECK(num_read > 1000);
}

}  // namespace
}  // namespace troupe::actors
