// The TLS credentials of one run: an authority that nothing else trusts and one certificate signed
// by it, for both ends of every connection between Troupe's own processes.
#pragma once

#include <string>

#include "schemas/result.h"

namespace troupe::cluster {

// Makes new credentials in `folder`, over any that are there, and creates the folder if need be.
// The authority's key is forgotten at once, so nobody can sign a second certificate later.
// kInvalidArgument when the folder exists and is not a folder of ours that is closed to everybody
// else.
Status make_credentials(const std::string& folder);

}  // namespace troupe::cluster
