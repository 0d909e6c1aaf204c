// Jinja's filters and tests.
#pragma once

#include "model/chat_template/run.h"

namespace troupe::model::chat_template {

// value | name(arguments). An error, "the filter 'urlize' is not known", for one that is not here.
Value filtered(Run& run, const std::string& name, const Value& value, const Arguments& arguments);

// value is name(arguments), likewise.
bool passes_test(Run& run, const std::string& name, const Value& value, const Arguments& arguments);

}  // namespace troupe::model::chat_template
