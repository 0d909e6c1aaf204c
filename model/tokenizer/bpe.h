// Byte pair encoding: a word begins as its bytes or characters, and the two neighbours whose merge
// was learned first become one token, until no two have a merge.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "schemas/result.h"

namespace troupe::model {

class Bpe {
 public:
  struct Options {
    bool is_byte_level = true;  // Words are bytes; the file spells them as GPT-2's letters.
    // Never the result of a merge, nor of a whole word: they are for trusted text.
    std::unordered_set<int32_t> reserved{};
  };

  // Buffers of one thread.
  struct Workspace;

  Bpe(Bpe&&) = default;
  Bpe& operator=(Bpe&&) = default;

  // `json` is "model" of the file. kInvalidArgument for damage and for what is not supported:
  // other models, dropout, prefixes and suffixes of words.
  static Result<Bpe> parse(const nlohmann::json& json, const Options& options);

  // Appends the tokens of one word, which is not empty.
  void encode(std::string_view word, Workspace& workspace, std::vector<int32_t>& ids) const;

  // The largest id and 1.
  int32_t vocabulary_size() const { return static_cast<int32_t>(spellings_.size()); }
  // As the file spells it; null for an id that the model does not have.
  const std::string* spelling(int32_t id) const;
  std::optional<int32_t> find(std::string_view spelling) const;
  // What a token is in text, before any decoder but ByteLevel.
  std::string text(int32_t id) const;

 private:
  struct Merge {
    uint32_t rank = 0;
    int32_t result = -1;
  };
  struct Candidate {
    uint32_t rank = 0;
    int32_t at = 0;
    int32_t left = 0;
    int32_t right = 0;
    int32_t result = 0;

    // A heap's top is its largest: the lowest rank, then the leftmost.
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };

  // Texts that can be looked up by a view.
  struct HashText {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  Bpe() = default;
  Status read_vocabulary(const nlohmann::json& json);
  Status read_merges(const nlohmann::json& json, const Options& options);
  Status read_fallbacks(const nlohmann::json& json);
  void find_whole_words(const Options& options);
  const Merge* find_merge(int32_t left, int32_t right) const;
  void begin(std::string_view word, Workspace& workspace) const;
  void merge(Workspace& workspace) const;

  bool is_byte_level_ = true;
  bool ignores_merges_ = false;
  bool fuses_unknown_ = false;
  bool has_byte_fallback_ = false;
  std::optional<int32_t> unknown_{};
  std::vector<std::string> spellings_{};
  std::vector<bool> is_token_{};
  std::unordered_map<std::string_view, int32_t> by_spelling_{};  // Views of spellings_.
  std::array<int32_t, 256> of_byte_{};                           // -1: no token.
  // Open addressing by both ids; the size is a power of two.
  struct Slot {
    uint64_t pair = UINT64_MAX;
    Merge merge{};
  };
  std::vector<Slot> merges_{};
  // Words that are one token, by their text.
  std::unordered_map<std::string, int32_t, HashText, std::equal_to<>> whole_words_{};
};

struct Bpe::Workspace {
  std::vector<int32_t> id{};  // -1: merged into its left neighbour.
  std::vector<int32_t> previous{};
  std::vector<int32_t> next{};
  std::vector<Candidate> heap{};
};

}  // namespace troupe::model
