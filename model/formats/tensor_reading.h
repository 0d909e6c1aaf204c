// Tensors of any stored type as floats.
#pragma once

#include "model/formats/quantization.h"
#include "model/formats/safetensors.h"
#include "schemas/result.h"

namespace troupe::model {

// All elements of `tensor`, row-major, into `out`, which has room for them. F32, F16 and BF16 are
// converted exactly. F8_E4M3 is a matrix with `scale_inv` (F32 or BF16), one for each of `blocks`,
// by which the block is multiplied. kInvalidArgument, naming the tensor, for other types, for a
// scale that is missing, not wanted or of another shape.
Status read_as_float(const TensorView& tensor, const TensorView* scale_inv,
                     const ScaleBlocks& blocks, float* out);

// The scale's name, if a tensor of this name has one: "x.weight" and "x.weight_scale_inv".
std::string scale_inv_name(const std::string& tensor_name);

}  // namespace troupe::model
