// A job as programs are told of it.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "schemas/control.h"

namespace troupe::cluster {

// {"id","name","state","message","steps_done","steps_total","home","weights_sha256","money",
// "owner"}. Names are whatever users gave, and may be no UTF-8.
nlohmann::ordered_json to_json(const JobSummary& job);

}  // namespace troupe::cluster
