// Who did what when in a run: pieces of work with their moments. The newest are kept in memory for
// people who watch; all go to HOME/work.jsonl, which takes so much disk and no more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "schemas/metrics.h"

namespace troupe::cluster {

// Times are seconds since 1970.
struct PieceOfWork {
  uint32_t slot = 0;
  std::string role{};
  std::string what{};
  std::optional<uint64_t> round{};
  double start = 0;
  double end = 0;
};

// Those that `sample`, made at `time`, tells of.
std::deque<PieceOfWork> work_in(const RunSample& sample, double time);

class WorkFile {
 public:
  // Of each of two files: the newer is begun when it is full, and takes the older one's place.
  static constexpr uint64_t kFileBytesMax = 16 << 20;

  // With what is there if the run goes on with it; else it is removed.
  WorkFile(const std::string& home, bool goes_on, uint64_t file_bytes_max = kFileBytesMax);

  // Work is for people: where the disk does not take it, it is not kept.
  void add(const std::deque<PieceOfWork>& work);

  // What a home has, in the order in which it ended. Lines that are none are passed over.
  static void read(const std::string& home, const std::function<void(const PieceOfWork&)>& use);

 private:
  const std::string home_;
  const uint64_t file_bytes_max_;
  uint64_t bytes_ = 0;
};

}  // namespace troupe::cluster
