// Writing a folder of generated data.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "schemas/result.h"

namespace troupe::model {

// Each file (its name and its whole text) appears whole or not at all; the folder is created if it
// is missing. kInvalidArgument where that is not possible.
Status write_files(const std::string& dir,
                   const std::vector<std::pair<std::string, std::string>>& files);

}  // namespace troupe::model
