// The one error type that every layer returns and every process can send.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace troupe {

// A code exists only where some caller reacts to it differently from all others; any other failure
// is kInternal with a good message. Values cross the wire: append, never renumber.
enum class ErrorCode : uint8_t {
  kInternal = 1,         // Exit code 1.
  kInvalidArgument = 2,  // The user's input is wrong: exit code 2, nothing was changed.
  kCorruption = 3,       // Bytes do not match their schema or checksum: quarantine them.
  kStopped = 4,          // The user asked for the stop: exit code 3.
  kStaleEpoch = 5,       // The writer was replaced: it must stop, its successor goes on.
  kOverloaded = 6,       // A bound was reached: ask again later.
  kUnknownOutcome = 7,   // No answer in time; the request may have been done. Ask with the same id.
  kExhausted = 8,        // A disk is full or no more files may be open: wait until there is room.
  kUnavailable = 9,      // A rank of the team is gone, silent or has given up: form the team again.
};

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message{};  // What was wrong, where, what to do; one line.
};

// Either a value or the reason there is none. Failures a caller is expected to meet are returned
// this way; broken invariants are TROUPE_CHECKed.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const noexcept { return state_.index() == 0; }
  const T& operator*() const& { return std::get<0>(state_); }
  T& operator*() & { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  const T* operator->() const { return &std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

using Status = Result<std::monostate>;
inline Status ok() { return std::monostate{}; }

inline Error invalid_argument(std::string message) {
  return {ErrorCode::kInvalidArgument, std::move(message)};
}

}  // namespace troupe
