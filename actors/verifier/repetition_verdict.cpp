#include "actors/verifier/repetition_verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "actors/verifier/unicode_script.h"

namespace troupe::actors {
namespace {

// A number for each word. Two words with one number would only look repeated once more, and it
// takes 2^32 words to meet that by chance.
std::vector<uint64_t> number_words(std::string_view text) {
  constexpr uint64_t kBasis = 0xcbf29ce484222325, kPrime = 0x100000001b3;  // FNV-1a
  std::vector<uint64_t> words;
  uint64_t word = kBasis;
  bool has_word = false;
  const auto end_word = [&] {
    if (has_word) words.push_back(word);
    word = kBasis;
    has_word = false;
  };
  for (size_t at = 0; at < text.size();) {
    if (static_cast<int64_t>(words.size()) >= kRepetitionWordsMax) return words;
    const char c = text[at];
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      end_word();
      ++at;
      continue;
    }
    const Character character = first_character(text.substr(at));
    const bool is_alone = is_unspaced(character.script);
    if (is_alone) end_word();
    for (size_t i = 0; i < character.num_bytes; ++i) {
      word = (word ^ static_cast<unsigned char>(text[at + i])) * kPrime;
    }
    has_word = true;
    if (is_alone) end_word();
    at += character.num_bytes;
  }
  end_word();
  return words;
}

}  // namespace

NgramCount count_ngrams(std::string_view text, int64_t ngram) {
  const std::vector<uint64_t> words = number_words(text);
  const auto n = static_cast<size_t>(ngram);
  if (words.size() < n) return {};
  std::vector<uint64_t> ngrams(words.size() - n + 1);
  for (size_t i = 0; i < ngrams.size(); ++i) {
    uint64_t hash = 0;
    for (size_t j = 0; j < n; ++j) {
      hash = (hash ^ words[i + j]) * 0x9e3779b97f4a7c15;
      hash ^= hash >> 29;
    }
    ngrams[i] = hash;
  }
  const auto all = static_cast<int64_t>(ngrams.size());
  std::sort(ngrams.begin(), ngrams.end());
  const auto distinct = std::unique(ngrams.begin(), ngrams.end()) - ngrams.begin();
  return {.repeated = all - static_cast<int64_t>(distinct), .all = all};
}

VerdictPart verify_repetition(std::string_view response, int64_t ngram, double max_share) {
  const NgramCount count = count_ngrams(response, ngram);
  const double share =
      count.all == 0 ? 0 : static_cast<double>(count.repeated) / static_cast<double>(count.all);
  const double value = share <= max_share ? 1 : (1 - share) / (1 - max_share);
  return {
      .kind = VerdictKind::kScored,
      .value = static_cast<float>(value),
      .reason = fmt::format("{} of {} {}-grams are repeated", count.repeated, count.all, ngram)};
}

}  // namespace troupe::actors
