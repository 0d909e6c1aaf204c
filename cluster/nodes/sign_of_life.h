// A node has no door at which it could be asked whether it is at work: it says so in a file of its
// home, again and again.
#pragma once

#include <chrono>
#include <string>

#include "schemas/result.h"

namespace troupe::cluster {

inline constexpr std::chrono::seconds kSignOfLifeEvery{2};

struct SignOfLife {
  std::string text{};  // What it does, for people.
  std::chrono::system_clock::duration age{};
};

// What cannot be written is missed by who looks for it.
void give_sign_of_life(const std::string& home, const std::string& text);

// kInvalidArgument where no node has ever given one.
Result<SignOfLife> find_sign_of_life(const std::string& home);

}  // namespace troupe::cluster
