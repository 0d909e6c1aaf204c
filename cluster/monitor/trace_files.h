// Responses as people read them afterwards: a file of JSON lines for each round, a line for each
// group, in HOME/traces, which takes so much disk and no more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "actors/job/job_data.h"
#include "schemas/metrics.h"
#include "schemas/records.h"
#include "schemas/result.h"

namespace troupe::cluster {

// A group: prompt, gold, and for each response its reward, the parts of it with the verifier's
// reasons, and its text in pieces with the log-probability of each. A piece is a token, or those of
// one character. Text is what the model wrote, with invalid UTF-8 replaced.
nlohmann::ordered_json trace_of(const GroupRecord& group, const actors::PromptTokens& prompt,
                                const model::Tokenizer& tokenizer);

// What a held-out problem was answered by one policy version after another.
struct ProblemAnswers {
  struct Answer {
    uint64_t version = 0;
    std::string response{};
    bool is_solved = false;
  };
  std::string prompt{};
  std::string gold{};
  std::vector<Answer> answers{};  // By rising version.
};

class TraceFiles {
 public:
  static constexpr size_t kPiecesMax = 32'768;  // Of a response; what follows is left out.
  static constexpr size_t kPromptBytesMax = 64 << 10;
  static constexpr size_t kRoundShare = 16;  // A round takes this part of all at most.

  struct Round {
    uint64_t round = 0;
    uint64_t bytes = 0;
  };

  // Nothing is kept with 0 bytes. The folder is made with the first trace; what a run that this one
  // does not go on with has left in it is removed.
  TraceFiles(std::string folder, uint64_t bytes_max, bool goes_on);

  // From one thread. Where there is no room in the round, the group is not kept; where there is
  // none in the folder, every second round but the newest goes.
  void add(uint64_t round, const nlohmann::ordered_json& trace);

  // The traces of an evaluation. They take as much as a round at most: when there is no room, every
  // second evaluation goes.
  void add_evaluation(PolicyVersion version, const std::vector<Trace>& traces);

  bool has_room() const { return bytes_max_ > 0; }

  // From any thread and process; what is not there is empty.
  static std::vector<Round> rounds(const std::string& folder);
  // In order of ordinals, each once; a line that is not whole is passed over.
  static std::vector<nlohmann::json> groups(const std::string& folder, uint64_t round);
  // In the order in which the problems were first seen.
  static std::vector<ProblemAnswers> held_out(const std::string& folder);

 private:
  void make_room();
  std::string path(uint64_t round) const;

  const std::string folder_;
  const uint64_t bytes_max_;
  std::map<uint64_t, uint64_t> bytes_{};  // By round.
  uint64_t total_ = 0;
};

}  // namespace troupe::cluster
