// Reads a file of the head's from another node that has a copy of it, or is about to. One thread
// uses it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "cluster/keys/keys_folder.h"
#include "schemas/node.h"
#include "schemas/result.h"

namespace troupe::cluster {

// Longer than a node that is about to have a file takes for its next part, over a slow link.
inline constexpr std::chrono::seconds kPeerSilenceMax{6};

class PeerReader {
 public:
  // `key` is this node's own. kInvalidArgument for an address that is none.
  static Result<std::unique_ptr<PeerReader>> open(const CopySource& source, const KeyFile& key);
  ~PeerReader();

  // The parts of kFilePartBytes (the last of a file may be shorter) that begin there, in that order
  // and compared with nothing. An error when the other has not got one of them, or has said nothing
  // for kPeerSilenceMax, or this daemon ends.
  Result<std::vector<std::vector<std::byte>>> read(const FileVersion& file,
                                                   const std::vector<uint64_t>& offsets,
                                                   const std::function<bool()>& is_ending);

 private:
  class Impl;
  explicit PeerReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace troupe::cluster
