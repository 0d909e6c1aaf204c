// What the codecs share: bounded reading of a message from bytes that nobody vouches for, and the
// way between lists and vectors. Included by *_codec.cpp only, because it brings Cap'n Proto.
#pragma once

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "schemas/result.h"

namespace troupe::wire {

// Calls read(root) -> Result<T> on the one message in `bytes`. kCorruption, beginning with `what`,
// unless the bytes are exactly one whole message. Readers need word alignment, which a network
// buffer does not promise, hence the copy; the traversal limit stops a small message whose pointers
// make one part be read many times, so each list and text is to be taken from it once.
template <class Root, class Read>
auto read_message(std::span<const std::byte> bytes, const char* what, Read read)
    -> decltype(read(std::declval<typename Root::Reader>())) try {
  if (bytes.size() % sizeof(capnp::word) != 0) {
    return Error{ErrorCode::kCorruption, std::string(what) + ": " + std::to_string(bytes.size()) +
                                             " bytes are not whole words"};
  }
  auto words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
  if (!bytes.empty()) std::memcpy(words.begin(), bytes.data(), bytes.size());
  capnp::ReaderOptions options;
  options.traversalLimitInWords = words.size() + 64;
  options.nestingLimit = 16;
  capnp::FlatArrayMessageReader message(words, options);
  if (message.getEnd() != words.end()) {
    return Error{ErrorCode::kCorruption, std::string(what) + ": bytes follow the message"};
  }
  return read(message.getRoot<Root>());
} catch (const kj::Exception& exception) {
  return Error{ErrorCode::kCorruption,
               std::string(what) + ": " + exception.getDescription().cStr()};
}

inline std::vector<std::byte> to_bytes(capnp::MessageBuilder& message) {
  const auto words = capnp::messageToFlatArray(message);
  const auto bytes = std::as_bytes(std::span(words.begin(), words.size()));
  return {bytes.begin(), bytes.end()};
}

template <class To, class List>
std::vector<To> to_vector(const List& list) {
  std::vector<To> values;
  values.reserve(list.size());
  for (auto value : list) values.push_back(value);
  return values;
}

template <class T>
kj::ArrayPtr<const T> to_list(const std::vector<T>& values) {
  return kj::arrayPtr(values.data(), values.size());
}

inline std::string to_string(capnp::Text::Reader text) { return {text.begin(), text.end()}; }
inline kj::StringPtr to_text(const std::string& text) {
  return kj::StringPtr(text.c_str(), text.size());
}

}  // namespace troupe::wire
