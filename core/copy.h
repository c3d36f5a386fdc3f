// core/copy.h: what primitives use to lay out results. Inputs are available arrays.
#pragma once

#include "mlx/array.h"

namespace mlx::core {

/** Copies src into the memory of dst (already set, any strides), converting dtype if they differ.
 */
void copy_into(const array& src, array& dst);

/** A row-contiguous array with the value of src: src itself where it is one already. */
array row_contiguous(const array& src);

/** Gives out memory: row-major, uninitialised. */
void allocate(array& out);

/** Gives out the memory of in if in may be written over and fits (same nbytes, row-contiguous),
 * else new. */
void allocate_or_donate(const array& in, array& out);

/** Makes out a view of in with these strides and an offset in elements of in. */
void make_view(const array& in, array& out, const Strides& strides, int64_t offset = 0);

}  // namespace mlx::core
