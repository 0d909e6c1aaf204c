// The setting with which a reward allows a weaker isolation by name.
#pragma once

#include "actors/verifier/verifier_table.h"

namespace troupe::actors {

inline SettingRule sandbox_setting() {
  return {.key = "sandbox",
          .type = SettingType::kText,
          .default_value = "full",
          .allowed = {"full", "namespaces_only"},
          .comment = "namespaces_only: also where a machine cannot isolate fully"};
}

inline BoxLevel allowed_box_level(const Settings& settings) {
  return settings.text("sandbox") == "full" ? BoxLevel::kFull : BoxLevel::kNamespacesOnly;
}

}  // namespace troupe::actors
