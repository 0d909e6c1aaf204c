// The border between a head and the workers of another host: a job's folder lies elsewhere there,
// and so do the files that messages name. What crosses is rewritten, and says which files have to
// be here, or there, before it goes on.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "schemas/envelope.h"
#include "schemas/result.h"

namespace troupe::cluster {

// A file, or a folder with all below it, that is to lie in the other place too.
struct FileMove {
  std::string at_head{};
  std::string here{};
  bool without_weights = false;  // Of a model: what rollouts need to know of it.
  bool operator==(const FileMove&) const = default;
};

struct Crossing {
  Envelope envelope{};
  std::vector<FileMove> files{};
  bool is_lease = false;
};

class JobBorder {
 public:
  struct Places {
    std::string home_at_head{};
    std::string home_here{};
    std::string models_here{};  // Folder of models that lie elsewhere at the head.
    bool is_shared = false;     // The two homes are one folder, and nothing of it is moved.
  };

  explicit JobBorder(Places places) : places_(std::move(places)) {}

  // What the head says to a worker, and which files of the head's it needs before. kCorruption for
  // what cannot be read.
  Result<Crossing> to_worker(const Envelope& envelope);
  // What a worker says, and which of its files the head needs before.
  Result<Crossing> from_worker(const Envelope& envelope);

  std::string here(const std::string& at_head) const;
  std::string at_head(const std::string& here) const;

 private:
  std::string team_address(const std::string& at_head) const;
  void leave_shared(Crossing& crossing) const;

  const Places places_;
  std::map<uint64_t, std::string>
      points_{};  // Folders here that points are written to, by request.
};

}  // namespace troupe::cluster
