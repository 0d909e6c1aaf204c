#include "model/parallel/team_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace troupe::model {
namespace {

bool is_power_of_two(int64_t value) { return value >= 1 && (value & (value - 1)) == 0; }

// How many members may share a lane, ascending: each has all slots of a wave, or whole blocks of
// eight of them, or blocks of eight blocks, and so on.
std::vector<int64_t> legal_members(int64_t width) {
  std::vector<int64_t> members{1};
  for (int64_t block = 1; block < width && width % block == 0; block *= 8) {
    members.push_back(width / block);
  }
  std::sort(members.begin(), members.end());
  return members;
}

}  // namespace

TeamLayout::TeamLayout(int ranks, int64_t lanes, int64_t width)
    : ranks_(ranks),
      lanes_(lanes),
      width_(width),
      groups_(static_cast<int>(std::min<int64_t>(ranks, lanes))) {}

Result<TeamLayout> TeamLayout::create(int ranks, int64_t lanes, int64_t width) {
  if (!is_power_of_two(lanes)) {
    return invalid_argument(
        fmt::format("learner.gradient_lanes is {}; it must be a power of two", lanes));
  }
  if (!is_power_of_two(width)) {
    return invalid_argument(
        fmt::format("learner.lane_width is {}; it must be a power of two", width));
  }
  std::vector<int64_t> legal;
  for (int64_t count = 1; count <= lanes; count *= 2) legal.push_back(count);
  for (const int64_t members : legal_members(width)) {
    if (members > 1) legal.push_back(lanes * members);
  }
  if (std::find(legal.begin(), legal.end(), ranks) != legal.end()) {
    return TeamLayout(ranks, lanes, width);
  }
  std::string text;
  for (const int64_t count : legal) text += (text.empty() ? "" : ", ") + std::to_string(count);
  return invalid_argument(fmt::format(
      "resources.learner is {}; with learner.gradient_lanes = {}{} it may be {}", ranks, lanes,
      width == 1 ? "" : fmt::format(" and learner.lane_width = {}", width), text));
}

std::vector<int> TeamLayout::ranks_of_group(int group) const {
  std::vector<int> ranks;
  for (int member = 0; member < members(); ++member) ranks.push_back(member * groups_ + group);
  return ranks;
}

std::vector<int> TeamLayout::ranks_of_member(int member) const {
  std::vector<int> ranks;
  for (int group = 0; group < groups_; ++group) ranks.push_back(member * groups_ + group);
  return ranks;
}

}  // namespace troupe::model
