#include "schemas/node_codec.h"

#include <doctest/doctest.h>

#include <set>

#include "tests/schemas/filled_node.h"
#include "tests/schemas/mutations.h"

namespace troupe {
namespace {

template <class T>
Bytes encoded(const T& value) {
  return encode(value);
}

// Calls check(value, decode) for every kind of message.
template <class Check>
void for_each_kind(Check check) {
  check(filled_link_header(), decode_link_header);
  for (const FromNode& message : filled_from_node()) check(message, decode_from_node);
  for (const ToNode& message : filled_to_node()) check(message, decode_to_node);
}

TEST_CASE("node_codec: every field of every message comes back") {
  for_each_kind([](const auto& value, auto decode) {
    check_round_trip(value, encoded<std::decay_t<decltype(value)>>, decode);
  });
  std::set<size_t> from;
  for (const FromNode& message : filled_from_node()) from.insert(message.index());
  CHECK(from.size() == std::variant_size_v<FromNode>);
  CHECK(filled_to_node().size() == std::variant_size_v<ToNode>);
}

TEST_CASE("node_codec: cut and flipped messages") {
  for_each_kind([](const auto& value, auto decode) {
    const Bytes bytes = encode(value);
    check_cuts_are_refused(bytes, decode);
    check_flips_are_survived(bytes, 1'000, encoded<std::decay_t<decltype(value)>>, decode);
  });
}

TEST_CASE("node_codec: nobody asks for more of a file than a chunk") {
  const FromNode asked = FileRequest{.what = ReadFile{.path = "p", .size = kFileChunkBytesMax + 1}};
  const auto read = decode_from_node(encode(asked));
  REQUIRE_FALSE(read);
  CHECK(read.error().code == ErrorCode::kCorruption);
}

TEST_CASE("node_codec: nobody asks a node for more than may be sent to see how fast") {
  CHECK(decode_to_node(encode(ToNode(ExamineNode{.reply_bytes = kExamBytesMax}))));
  const auto asked = decode_to_node(encode(ToNode(ExamineNode{.reply_bytes = kExamBytesMax + 1})));
  REQUIRE_FALSE(asked);
  CHECK(asked.error().code == ErrorCode::kCorruption);
}

}  // namespace
}  // namespace troupe
