// How keys and values of the store look as bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "actors/replay/replay_store.h"
#include "schemas/result.h"

namespace troupe::actors {

// job(8) kind(1) number(8) ordinal(4), big-endian, so that bytes sort as history does.
inline constexpr size_t kKeyBytes = 21;
std::string key_bytes(const RecordKey& key);
// Nothing when `bytes` is no record's key. The store's own entries have keys of other lengths.
std::optional<RecordKey> read_key(std::string_view bytes);

// version(2) epoch(8) commit(8), little-endian, then the record. RocksDB has checksums over all.
std::string value_bytes(uint64_t epoch, uint64_t commit, std::span<const std::byte> record);
// kCorruption when it is too short or from a newer Troupe.
Result<StoredRecord> read_value(const RecordKey& key, std::string_view bytes);

}  // namespace troupe::actors
