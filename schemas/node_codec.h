// What a head and a node say <-> bytes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "schemas/node.h"
#include "schemas/result.h"

namespace troupe {

// With room for what is around it, a worker's envelope of the greatest length is within it.
inline constexpr size_t kNodeBytesMax = (size_t{1} << 29) + 1024;

// Values must be within the bounds of node.h and bounds.h; texts for people are cut.
std::vector<std::byte> encode(const LinkHeader& header);
std::vector<std::byte> encode(const FromNode& message);
std::vector<std::byte> encode(const ToNode& message);

// kCorruption unless `bytes` is one whole message of its kind. The bytes may come from anybody, so
// no input may crash, over-read or make this allocate much more than its size. Envelopes are not
// looked into.
Result<LinkHeader> decode_link_header(std::span<const std::byte> bytes);
Result<FromNode> decode_from_node(std::span<const std::byte> bytes);
Result<ToNode> decode_to_node(std::span<const std::byte> bytes);

}  // namespace troupe
