// Folders whose weights are there, but not in a form that is read here.
#pragma once

#include <optional>
#include <string>

#include "schemas/result.h"

namespace troupe::model {

// Nothing where the folder has model.safetensors or its index. Else the error for a folder of
// weights that other programs wrote (pytorch_model.bin, adapters, shards without their index, ...),
// with a command that converts them; nothing where no such file is there either.
std::optional<Error> other_weights(const std::string& folder);

// An adapter beside a whole model: transformers would compute with both.
Status check_no_adapter(const std::string& folder);

}  // namespace troupe::model
