// A folder for sockets and secrets that only we may enter.
#pragma once

#include <string>

#include "schemas/result.h"

namespace troupe {

// Makes the folder and its parents if need be. kInvalidArgument when what is there is not a folder,
// belongs to another user or is open to others. Its name is resolved once more by each later use,
// but nobody else can change what lies in it, and who can rename it can do anything as us.
Status make_private_folder(const std::string& folder);

// The same, but what is not there is kInvalidArgument too.
Status check_private_folder(const std::string& folder);

}  // namespace troupe
