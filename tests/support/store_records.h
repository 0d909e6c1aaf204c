// Records for tests of the store: small, and different for each number.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "actors/replay/replay_store.h"

namespace troupe::tests {

inline std::vector<std::byte> bytes_of(const std::string& text) {
  const auto* const first = reinterpret_cast<const std::byte*>(text.data());
  return {first, first + text.size()};
}
inline std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::string numbered_text(uint64_t number) { return "record " + std::to_string(number); }

inline actors::Write write(uint64_t job, actors::RecordKind kind, uint64_t number,
                           const std::string& text, uint32_t ordinal = 0) {
  return {.key = {.job = job, .kind = kind, .number = number, .ordinal = ordinal},
          .value = bytes_of(text)};
}

// One numbered group of `job`.
inline actors::Batch numbered_batch(uint64_t job, uint64_t epoch, uint64_t number) {
  return {.job = job,
          .epoch = epoch,
          .writes = {write(job, actors::RecordKind::kGroup, number, numbered_text(number))}};
}

// Whether numbered groups 1 to `count` of `job` are there, in order and whole, and no others.
inline bool has_all(const actors::ReplayStore& store, uint64_t job, uint64_t count) {
  const auto records = store.list(job, actors::RecordKind::kGroup);
  if (!records || records->size() != count) return false;
  for (uint64_t i = 0; i < count; ++i) {
    const actors::StoredRecord& record = (*records)[i];
    if (record.key.number != i + 1 || text_of(record.value) != numbered_text(i + 1)) return false;
  }
  return true;
}

}  // namespace troupe::tests
