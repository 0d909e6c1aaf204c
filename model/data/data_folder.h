// Writing a folder of generated data.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "schemas/result.h"

namespace troupe::model {

// What becomes of a file that is there and has another text.
enum class ExistingFiles : uint8_t { kReplace, kRefuse };

// Each file (its name and its whole text) appears whole or not at all; the folder is created if it
// is missing. kInvalidArgument where that is not possible, and with kRefuse, before anything is
// written, where a file is there with another text.
Status write_files(const std::string& dir,
                   const std::vector<std::pair<std::string, std::string>>& files,
                   ExistingFiles existing);

}  // namespace troupe::model
