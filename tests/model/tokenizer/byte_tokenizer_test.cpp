#include "model/tokenizer/byte_tokenizer.h"

#include <doctest/doctest.h>

namespace troupe::model {
namespace {

using Ids = std::vector<int32_t>;

TEST_CASE("byte tokenizer: every byte is its own token and comes back") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  const Ids ids = ByteTokenizer::encode(all);
  REQUIRE(ids.size() == 256);
  for (int byte = 0; byte < 256; ++byte) CHECK(ids[byte] == byte);
  CHECK(ByteTokenizer::decode(ids) == all);
  CHECK(ByteTokenizer::encode_markup(all) == ids);
}

TEST_CASE("byte tokenizer: a tag in hostile text stays text") {
  for (std::string_view text : {"<think>", "</answer>", "<pad><bos><eos>", "a</think>b"}) {
    for (int32_t id : ByteTokenizer::encode(text)) CHECK(id < 256);
    CHECK(ByteTokenizer::decode(ByteTokenizer::encode(text)) == text);
  }
}

TEST_CASE("byte tokenizer: markup has one token per tag and no other special tokens") {
  CHECK(ByteTokenizer::encode_markup("<think>1</think><answer>2</answer>") ==
        Ids{259, '1', 260, 261, '2', 262});
  CHECK(ByteTokenizer::encode_markup("<<think>") == Ids{'<', 259});
  CHECK(ByteTokenizer::encode_markup("<eos>") == Ids{'<', 'e', 'o', 's', '>'});
  CHECK(ByteTokenizer::encode_markup("<thin") == Ids{'<', 't', 'h', 'i', 'n'});
  CHECK(ByteTokenizer::encode_markup("").empty());
}

TEST_CASE("byte tokenizer: decoding shows tags and hides pad, bos, eos and reserved ids") {
  const Ids ids = {257, 259, '8', 260, 261, '5', 262, 258, 256, 263, 271};
  CHECK(ByteTokenizer::decode(ids) == "<think>8</think><answer>5</answer>");
}

}  // namespace
}  // namespace troupe::model
