#include "model/tokenizer/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>

#include "model/tokenizer/json_fields.h"
#include "model/tokenizer/unicode.h"
#include "schemas/check.h"

namespace troupe::model {
namespace {

using Json = nlohmann::json;

constexpr int64_t kTokensMax = 1 << 20;
constexpr size_t kMergesMax = 1 << 21;

// GPT-2's letters for bytes: printable ones are themselves, the others follow from U+0100 on.
struct ByteLetters {
  std::array<std::string, 256> of_byte{};
  std::array<int16_t, 512> of_letter{};  // -1: no byte.

  ByteLetters() {
    of_letter.fill(-1);
    int next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const bool is_printable =
          (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
      const int letter = is_printable ? byte : next++;
      of_letter[static_cast<size_t>(letter)] = static_cast<int16_t>(byte);
      std::string& text = of_byte[static_cast<size_t>(byte)];
      if (letter < 128) {
        text = {static_cast<char>(letter)};
      } else {
        text = {static_cast<char>(0xC0 | (letter >> 6)), static_cast<char>(0x80 | (letter & 63))};
      }
    }
  }
};

const ByteLetters& byte_letters() {
  static const ByteLetters letters;
  return letters;
}

// Nothing when a character stands for no byte.
std::optional<std::string> bytes_of_letters(std::string_view spelling) {
  std::string bytes;
  for (size_t i = 0; i < spelling.size(); ++i) {
    auto letter = static_cast<unsigned>(static_cast<unsigned char>(spelling[i]));
    if (letter >= 0x80) {
      if (letter < 0xC0 || letter > 0xC7 || i + 1 == spelling.size()) return std::nullopt;
      letter = ((letter & 0x1F) << 6) | (static_cast<unsigned char>(spelling[++i]) & 0x3F);
    }
    const int16_t byte = byte_letters().of_letter[letter];
    if (byte < 0) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

uint64_t pair_of(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

size_t hash_of(uint64_t pair) {
  pair *= 0x9E3779B97F4A7C15;
  return static_cast<size_t>(pair ^ (pair >> 32));
}

// The two sides of a merge: "a b" or ["a", "b"].
std::optional<std::pair<std::string, std::string>> sides_of(const Json& merge) {
  if (const auto* text = merge.get_ptr<const std::string*>()) {
    const size_t space = text->find(' ');
    if (space == text->npos || text->find(' ', space + 1) != text->npos) return std::nullopt;
    return std::pair(text->substr(0, space), text->substr(space + 1));
  }
  if (!merge.is_array() || merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) {
    return std::nullopt;
  }
  return std::pair(merge[0].get<std::string>(), merge[1].get<std::string>());
}

}  // namespace

Result<Bpe> Bpe::parse(const Json& json, const Options& options) {
  const std::string type = type_of(json);
  const bool is_untyped = type.empty() && json.is_object() && json.contains("merges");
  if (type != "BPE" && !is_untyped) {
    return invalid_argument(
        fmt::format("model {} is not supported; there is BPE", shown_name(type)));
  }
  const Json* dropout = find_field(json, "dropout");
  if (dropout != nullptr && *dropout != 0) {
    return invalid_argument("model BPE with dropout is not supported");
  }
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const std::string* text = find_string(json, affix);
    if (text != nullptr && !text->empty()) {
      return invalid_argument(fmt::format("model BPE with {} is not supported", affix));
    }
  }
  Bpe made;
  made.is_byte_level_ = options.is_byte_level;
  made.ignores_merges_ = find_bool(json, "ignore_merges", false);
  made.fuses_unknown_ = find_bool(json, "fuse_unk", false);
  made.has_byte_fallback_ = find_bool(json, "byte_fallback", false);
  if (made.is_byte_level_ && made.has_byte_fallback_) {
    return invalid_argument("model BPE with byte_fallback beside ByteLevel is not supported");
  }
  if (Status status = made.read_vocabulary(json); !status) return status.error();
  if (Status status = made.read_merges(json, options); !status) return status.error();
  if (Status status = made.read_fallbacks(json); !status) return status.error();
  made.find_whole_words(options);
  return made;
}

Status Bpe::read_vocabulary(const Json& json) {
  const Json* vocabulary = find_field(json, "vocab");
  if (vocabulary == nullptr || !vocabulary->is_object() || vocabulary->empty()) {
    return invalid_argument("model BPE has no vocab");
  }
  int64_t size = 0;
  for (const auto& [token, id] : vocabulary->items()) {
    if (!id.is_number_integer() || id < 0 || id >= kTokensMax) {
      return invalid_argument(
          fmt::format("model BPE gives token {} no id below {}", shown_name(token), kTokensMax));
    }
    size = std::max(size, id.get<int64_t>() + 1);
  }
  spellings_.resize(static_cast<size_t>(size));
  is_token_.resize(static_cast<size_t>(size));
  by_spelling_.reserve(vocabulary->size());
  for (const auto& [token, json_id] : vocabulary->items()) {
    const auto id = json_id.get<int32_t>();
    const auto at = static_cast<size_t>(id);
    if (is_token_[at]) {
      return invalid_argument(fmt::format("model BPE has two tokens of id {}", id));
    }
    spellings_[at] = token;
    is_token_[at] = true;
    by_spelling_.emplace(spellings_[at], id);
  }
  return ok();
}

Status Bpe::read_merges(const Json& json, const Options& options) {
  const Json* merges = find_array(json, "merges");
  if (merges == nullptr || merges->size() > kMergesMax) {
    return invalid_argument("model BPE has no merges, or too many");
  }
  merges_.resize(std::bit_ceil(2 * merges->size() + 1));
  uint32_t rank = 0;
  std::string whole;
  for (const Json& one : *merges) {
    const auto sides = sides_of(one);
    if (!sides) return invalid_argument(fmt::format("model BPE: merge {} is not a pair", rank));
    whole = sides->first + sides->second;
    const auto left = find(sides->first), right = find(sides->second), result = find(whole);
    if (!left || !right || !result) {
      return invalid_argument(
          fmt::format("model BPE: merge {} names a token that vocab does not have", rank));
    }
    const Merge merge{.rank = rank++, .result = *result};
    if (options.reserved.contains(*result)) continue;
    const uint64_t pair = pair_of(*left, *right);
    size_t slot = hash_of(pair) & (merges_.size() - 1);
    while (merges_[slot].pair != UINT64_MAX && merges_[slot].pair != pair) {
      slot = (slot + 1) & (merges_.size() - 1);
    }
    merges_[slot] = {pair, merge};
  }
  return ok();
}

Status Bpe::read_fallbacks(const Json& json) {
  if (const std::string* unknown = find_string(json, "unk_token")) {
    unknown_ = find(*unknown);
    if (!unknown_) return invalid_argument("model BPE: vocab does not have unk_token");
  }
  for (size_t byte = 0; byte < 256; ++byte) {
    const auto id = is_byte_level_       ? find(byte_letters().of_byte[byte])
                    : has_byte_fallback_ ? find(fmt::format("<0x{:02X}>", byte))
                                         : std::nullopt;
    of_byte_[byte] = id.value_or(-1);
  }
  return ok();
}

// Most words of a text are one token. Which text merges into one can be known beforehand.
void Bpe::find_whole_words(const Options& options) {
  if (!is_byte_level_ && !ignores_merges_) return;
  Workspace workspace;
  std::vector<int32_t> ids;
  whole_words_.reserve(by_spelling_.size());
  for (const auto& [spelling, id] : by_spelling_) {
    if (spelling.empty() || options.reserved.contains(id)) continue;
    auto word = is_byte_level_ ? bytes_of_letters(spelling) : std::string(spelling);
    if (!word) continue;
    if (!ignores_merges_) {
      ids.clear();
      begin(*word, workspace);
      merge(workspace);
      if (workspace.id.empty() || workspace.id[0] != id || workspace.next[0] >= 0) continue;
    }
    whole_words_.emplace(std::move(*word), id);
  }
}

const Bpe::Merge* Bpe::find_merge(int32_t left, int32_t right) const {
  const uint64_t pair = pair_of(left, right);
  size_t slot = hash_of(pair) & (merges_.size() - 1);
  while (merges_[slot].pair != pair) {
    if (merges_[slot].pair == UINT64_MAX) return nullptr;
    slot = (slot + 1) & (merges_.size() - 1);
  }
  return &merges_[slot].merge;
}

// The bytes or characters of a word as tokens, each linked to the next.
void Bpe::begin(std::string_view word, Workspace& w) const {
  w.id.clear();
  bool is_unknown = false;  // The last one was, and nothing came between.
  const auto add_unknown = [&] {
    if (unknown_ && !(is_unknown && fuses_unknown_)) w.id.push_back(*unknown_);
    is_unknown = true;
  };
  const auto add = [&](int32_t id) {
    w.id.push_back(id);
    is_unknown = false;
  };
  if (is_byte_level_) {
    for (char c : word) {
      const int32_t id = of_byte_[static_cast<unsigned char>(c)];
      if (id >= 0) {
        add(id);
      } else {
        add_unknown();
      }
    }
  } else {
    while (!word.empty()) {
      const std::string_view character = word.substr(0, character_bytes(word));
      word.remove_prefix(character.size());
      if (const auto id = find(character)) {
        add(*id);
        continue;
      }
      const bool has_bytes = std::all_of(character.begin(), character.end(), [&](char c) {
        return of_byte_[static_cast<unsigned char>(c)] >= 0;
      });
      if (!has_bytes) {
        add_unknown();
        continue;
      }
      for (char c : character) add(of_byte_[static_cast<unsigned char>(c)]);
    }
  }
  const auto count = static_cast<int32_t>(w.id.size());
  w.previous.resize(w.id.size());
  w.next.resize(w.id.size());
  for (int32_t i = 0; i < count; ++i) {
    w.previous[static_cast<size_t>(i)] = i - 1;
    w.next[static_cast<size_t>(i)] = i + 1 < count ? i + 1 : -1;
  }
}

void Bpe::merge(Workspace& w) const {
  w.heap.clear();
  const auto consider = [&](int32_t at) {
    const int32_t after = w.next[static_cast<size_t>(at)];
    if (after < 0) return;
    const int32_t left = w.id[static_cast<size_t>(at)], right = w.id[static_cast<size_t>(after)];
    const Merge* found = find_merge(left, right);
    if (found == nullptr) return;
    w.heap.push_back({found->rank, at, left, right, found->result});
  };
  for (size_t i = 0; i < w.id.size(); ++i) consider(static_cast<int32_t>(i));
  std::make_heap(w.heap.begin(), w.heap.end());
  while (!w.heap.empty()) {
    std::pop_heap(w.heap.begin(), w.heap.end());
    const Candidate best = w.heap.back();
    w.heap.pop_back();
    const auto at = static_cast<size_t>(best.at);
    const int32_t after = w.next[at];
    // One of the two was merged with another neighbour since.
    if (w.id[at] != best.left || after < 0 || w.id[static_cast<size_t>(after)] != best.right) {
      continue;
    }
    w.id[at] = best.result;
    w.id[static_cast<size_t>(after)] = -1;
    w.next[at] = w.next[static_cast<size_t>(after)];
    if (w.next[at] >= 0) w.previous[static_cast<size_t>(w.next[at])] = best.at;
    const auto push = [&](int32_t from) {
      const size_t count = w.heap.size();
      consider(from);
      if (w.heap.size() > count) std::push_heap(w.heap.begin(), w.heap.end());
    };
    if (w.previous[at] >= 0) push(w.previous[at]);
    push(best.at);
  }
}

void Bpe::encode(std::string_view word, Workspace& workspace, std::vector<int32_t>& ids) const {
  if (const auto found = whole_words_.find(word); found != whole_words_.end()) {
    ids.push_back(found->second);
    return;
  }
  begin(word, workspace);
  merge(workspace);
  if (workspace.id.empty()) return;
  for (int32_t i = 0; i >= 0; i = workspace.next[static_cast<size_t>(i)]) {
    ids.push_back(workspace.id[static_cast<size_t>(i)]);
  }
}

const std::string* Bpe::spelling(int32_t id) const {
  const auto at = static_cast<size_t>(id);
  return id >= 0 && at < spellings_.size() && is_token_[at] ? &spellings_[at] : nullptr;
}

std::optional<int32_t> Bpe::find(std::string_view spelling) const {
  const auto found = by_spelling_.find(spelling);
  if (found == by_spelling_.end()) return std::nullopt;
  return found->second;
}

std::string Bpe::text(int32_t id) const {
  const std::string* token = spelling(id);
  TROUPE_CHECK(token != nullptr);
  auto bytes = is_byte_level_ ? bytes_of_letters(*token) : std::nullopt;
  return bytes ? std::move(*bytes) : *token;
}

}  // namespace troupe::model
