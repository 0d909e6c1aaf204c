// Inputs for fuzz targets from a corpus and a dictionary, the same ones for the same seed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace troupe::fuzz {

class Mutations {
 public:
  Mutations(std::vector<std::string> corpus, std::vector<std::string> dictionary, uint64_t seed)
      : corpus_(std::move(corpus)), dictionary_(std::move(dictionary)), random_(seed) {}

  // Mostly near an entry of the corpus; sometimes two of them, sometimes many repetitions.
  std::string next(size_t bytes_max) {
    std::string text = pick(corpus_);
    for (size_t count = 1 + below(6); count > 0; --count) mutate(text);
    if (text.size() > bytes_max) text.resize(bytes_max);
    return text;
  }

  const std::string& pick(const std::vector<std::string>& from) { return from[below(from.size())]; }
  size_t below(size_t bound) { return static_cast<size_t>(random_() % bound); }

 private:
  void mutate(std::string& text) {
    const size_t at = below(text.size() + 1);
    switch (below(9)) {
      case 0:
        text.insert(at, 1, static_cast<char>(random_()));
        return;
      case 1:
        if (at < text.size()) text[at] = static_cast<char>(random_());
        return;
      case 2:
        text.erase(at, 1 + below(4));
        return;
      case 3:
        text.insert(at, pick(dictionary_));
        return;
      case 4:
        text.insert(at, std::to_string(random_() >> below(64)));
        return;
      case 5: {  // A piece of another entry.
        const std::string& other = pick(corpus_);
        const size_t from = below(other.size() + 1);
        text.insert(at, other.substr(from, below(24)));
        return;
      }
      case 6: {  // Its own piece again, at times very often.
        const std::string piece = text.substr(at, 1 + below(12));
        const size_t count = below(20) == 0 ? below(400) : below(4);
        std::string all;
        for (size_t i = 0; i < count; ++i) all += piece;
        text.insert(at, all);
        return;
      }
      case 7: {  // In brackets of some kind, at times very deep.
        const std::string open = pick(dictionary_);
        const size_t count = below(20) == 0 ? below(300) : 1;
        for (size_t i = 0; i < count; ++i) text.insert(0, open);
        text.append(count, open.find('{') != open.npos ? '}' : ')');
        return;
      }
      default:
        if (at + 1 < text.size()) std::swap(text[at], text[below(text.size())]);
        return;
    }
  }

  std::vector<std::string> corpus_;
  std::vector<std::string> dictionary_;
  std::mt19937_64 random_;
};

}  // namespace troupe::fuzz
