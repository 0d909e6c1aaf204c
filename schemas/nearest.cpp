#include "schemas/nearest.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace troupe {
namespace {

// Levenshtein distance with one row. `a` comes from a user, so only its beginning counts.
size_t edit_distance(std::string_view a, std::string_view b) {
  constexpr size_t kNameBytesMax = 128;
  a = a.substr(0, kNameBytesMax);
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t substituted = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::vector<std::string> nearest_first(std::string_view name, std::vector<std::string> known) {
  std::vector<std::pair<size_t, size_t>> order;  // (distance, place in `known`)
  for (size_t i = 0; i < known.size(); ++i) order.emplace_back(edit_distance(name, known[i]), i);
  std::sort(order.begin(), order.end());
  std::vector<std::string> sorted;
  for (const auto& [distance, i] : order) sorted.push_back(std::move(known[i]));
  return sorted;
}

std::string nearest_first_list(std::string_view name, std::vector<std::string> known) {
  std::string list;
  for (const std::string& each : nearest_first(name, std::move(known))) {
    list += (list.empty() ? "" : ", ") + each;
  }
  return list;
}

}  // namespace troupe
