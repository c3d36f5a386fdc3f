// include/mlx/einsum.h: sums of products in index notation.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core {

/** The order of pairwise contractions that einsum takes, as operand positions, and a report of it.
 */
std::pair<std::vector<std::vector<int>>, std::string> einsum_path(
    const std::string& subscripts, const std::vector<array>& operands);

/** Sum of products of operands as subscripts say, for example "bij,bjk->bik". */
array einsum(const std::string& subscripts, const std::vector<array>& operands,
             StreamOrDevice s = {});

}  // namespace mlx::core
