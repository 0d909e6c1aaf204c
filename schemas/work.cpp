#include "schemas/work.h"

namespace troupe {

std::string to_string(Roles roles) {
  std::string text;
  const auto add = [&text](bool has, const char* role) {
    if (has) text += (text.empty() ? "" : "+") + std::string(role);
  };
  add(roles.rollout, "rollout");
  add(roles.learner, "learner");
  add(roles.verifier, "verifier");
  return text.empty() ? "none" : text;
}

}  // namespace troupe
