// Which group, and what for: the groups of an evaluation are numbered like those of a round.
#pragma once

#include <compare>
#include <functional>

#include "schemas/ids.h"
#include "schemas/work.h"

namespace troupe::actors {

struct GroupKey {
  GroupId id{};
  GroupPurpose purpose = GroupPurpose::kTrain;
  auto operator<=>(const GroupKey&) const = default;
};

// Whether a group may be why its worker was lost.
using IsSuspect = std::function<bool(const GroupKey&)>;

// Of whatever has both.
template <class Group>
GroupKey key_of(const Group& group) {
  return {group.id, group.purpose};
}

}  // namespace troupe::actors
