// core/transform/size_rules.h: how the numbers of a trace follow from the sizes of its inputs.
#pragma once

#include <functional>
#include <vector>

#include "core/transform/stored_function.h"

namespace mlx::core {

using TraceFn = std::function<std::vector<array>(const std::vector<array>&)>;

/**
 * The function for inputs of these shapes, or, if shapeless, of every size that proves free. Arrays
 * that fun holds are appended to tensors, each once. Throws std::invalid_argument if an operation
 * cannot be stored.
 */
StoredFunction store_function(const TraceFn& fun, const std::vector<array>& inputs, bool shapeless,
                              std::vector<array>& tensors);

}  // namespace mlx::core
