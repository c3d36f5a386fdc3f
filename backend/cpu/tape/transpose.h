// backend/cpu/tape/transpose.h: copies whose input runs along another axis than the output.
#pragma once

#include "backend/cpu/tape/space.h"

namespace mlx::core::cpu {

/** Copies lane 0 to lane 1 in square blocks if that is the fast way; false: nothing was done. */
bool try_transpose(const Space& space);

}  // namespace mlx::core::cpu
