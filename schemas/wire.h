// What the codecs share: bounded reading of a message from bytes that nobody vouches for, and the
// way between lists and vectors. Included by *_codec.cpp and *_wire.h only, because it brings
// Cap'n Proto.
//
// For each struct X there is one pair of functions, found by their arguments:
//   void to_wire(wire::X::Builder to, const X& from);
//   X from_wire(wire::X::Reader from, FieldReader& fields);
#pragma once

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "schemas/bounds.h"
#include "schemas/check.h"
#include "schemas/result.h"

namespace troupe {

// Takes the fields of one message. Each list and text is bounded before anything is allocated for
// it; what is out of bounds reads as empty, and the first such thing is remembered. So a codec
// names each field once, and wire::decode asks once whether they can be believed.
//
// A list or text is to be taken from its message once, because each access counts against the
// traversal limit.
class FieldReader {
 public:
  explicit FieldReader(const char* what) : what_(what) {}

  const std::optional<Error>& error() const { return error_; }

  void refuse(Error error) {
    if (!error_) error_ = std::move(error);
  }
  void refuse(const std::string& problem) {
    refuse(Error{ErrorCode::kCorruption, std::string(what_) + ": " + problem +
                                             "; the message is refused, ask its sender again"});
  }

  template <class List>
  List list(List from, size_t size_max, const char* field) {
    if (from.size() > size_max) {
      refuse(std::string(field) + " has " + std::to_string(from.size()) + " entries, at most " +
             std::to_string(size_max) + " are allowed");
    }
    return error_ ? List{} : from;
  }

  std::string text(capnp::Text::Reader from, size_t bytes_max, const char* field) {
    from = list(from, bytes_max, field);
    return {from.begin(), from.end()};
  }

  template <class To, class List>
  std::vector<To> numbers(List from, size_t size_max, const char* field) {
    from = list(from, size_max, field);
    std::vector<To> values;
    values.reserve(from.size());
    for (auto value : from) values.push_back(value);
    return values;
  }

  std::vector<std::byte> blob(capnp::Data::Reader from, size_t bytes_max, const char* field) {
    from = list(from, bytes_max, field);
    const auto bytes = std::as_bytes(std::span(from.begin(), from.size()));
    return {bytes.begin(), bytes.end()};
  }

  std::vector<std::string> texts(capnp::List<capnp::Text>::Reader from, size_t size_max,
                                 size_t bytes_max, const char* field) {
    from = list(from, size_max, field);
    std::vector<std::string> values;
    values.reserve(from.size());
    for (auto value : from) values.push_back(text(value, bytes_max, field));
    return values;
  }

  std::vector<std::vector<std::byte>> blobs(capnp::List<capnp::Data>::Reader from, size_t size_max,
                                            size_t bytes_max, const char* field) {
    from = list(from, size_max, field);
    std::vector<std::vector<std::byte>> values;
    values.reserve(from.size());
    for (auto value : from) values.push_back(blob(value, bytes_max, field));
    return values;
  }

  template <class To, class List>
  std::vector<To> structs(List from, size_t size_max, const char* field) {
    from = list(from, size_max, field);
    std::vector<To> values;
    values.reserve(from.size());
    for (auto value : from) {
      values.push_back(from_wire(value, *this));
      if (error_) break;
    }
    return values;
  }

  // Of an enumeration without gaps, whose numbers are the same on both sides.
  template <class To, class From>
  To enumerator(From from, From last, const char* field) {
    if (from > last) {
      refuse(std::string(field) + " " + std::to_string(static_cast<unsigned>(from)) +
             " is unknown");
      return To{};
    }
    return static_cast<To>(from);
  }

 private:
  const char* what_;
  std::optional<Error> error_{};
};

namespace wire {

// Calls read(root) -> Result<T> on the one message in `bytes`. kCorruption, beginning with `what`,
// unless the bytes are exactly one whole message. Readers need word alignment, which a network
// buffer does not promise, hence the copy; the traversal limit stops a small message whose pointers
// make one part be read many times, and lists of empty structs that claim to be long. This is the
// one place where Cap'n Proto's exceptions are caught.
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
  std::string message = std::string(what) + ": " + exception.getDescription().cStr();
  std::replace(message.begin(), message.end(), '\n', ' ');  // An error is one line.
  return Error{ErrorCode::kCorruption, std::move(message)};
}

// The T in `bytes`, by its from_wire.
template <class Root, class T>
Result<T> decode(std::span<const std::byte> bytes, const char* what) {
  return read_message<Root>(bytes, what, [what](typename Root::Reader root) -> Result<T> {
    FieldReader fields(what);
    T value = from_wire(root, fields);
    if (fields.error()) return *fields.error();
    return value;
  });
}

inline std::vector<std::byte> to_bytes(capnp::MessageBuilder& message) {
  const auto words = capnp::messageToFlatArray(message);
  const auto bytes = std::as_bytes(std::span(words.begin(), words.size()));
  return {bytes.begin(), bytes.end()};
}

// `value` as bytes, by its to_wire.
template <class Root, class T>
std::vector<std::byte> encode(const T& value) {
  capnp::MallocMessageBuilder message;
  to_wire(message.initRoot<Root>(), value);
  return to_bytes(message);
}

// The size of a list to be.
template <class Values>
unsigned to_size(const Values& values, size_t size_max) {
  TROUPE_CHECK(values.size() <= size_max);
  return static_cast<unsigned>(values.size());
}

template <class T>
kj::ArrayPtr<const T> to_list(const std::vector<T>& values, size_t size_max) {
  return kj::arrayPtr(values.data(), to_size(values, size_max));
}

inline kj::StringPtr to_text(const std::string& text, size_t bytes_max) {
  return kj::StringPtr(text.c_str(), to_size(text, bytes_max));
}

// A text for people, no longer than kTextBytesMax. It is cut, between two characters of UTF-8,
// because a long complaint must not stop a process that wants to pass it on.
inline std::string cut(std::string text) {
  if (text.size() <= kTextBytesMax) return text;
  size_t size = kTextBytesMax;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  text.resize(size > 0 ? size : kTextBytesMax);
  return text;
}

inline kj::ArrayPtr<const kj::byte> to_blob(const std::vector<std::byte>& bytes, size_t bytes_max) {
  return kj::arrayPtr(reinterpret_cast<const kj::byte*>(bytes.data()), to_size(bytes, bytes_max));
}

template <class List>
void to_texts(List to, const std::vector<std::string>& from, size_t bytes_max) {
  for (unsigned i = 0; i < to.size(); ++i) to.set(i, to_text(from[i], bytes_max));
}

template <class List>
void to_blobs(List to, const std::vector<std::vector<std::byte>>& from, size_t bytes_max) {
  for (unsigned i = 0; i < to.size(); ++i) to.set(i, to_blob(from[i], bytes_max));
}

template <class List, class T>
void to_structs(List to, const std::vector<T>& from) {
  for (unsigned i = 0; i < to.size(); ++i) to_wire(to[i], from[i]);
}

// Of an enumeration without gaps, whose numbers are the same on both sides.
template <class To, class From>
To to_enumerator(From from, From last) {
  TROUPE_CHECK(from <= last);
  return static_cast<To>(from);
}

}  // namespace wire
}  // namespace troupe
