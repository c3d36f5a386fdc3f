// backend/cpu/tape/kernels.h: loops over contiguous runs of elements.
#pragma once

#include <cstddef>

#include "core/elementwise.h"
#include "core/tape.h"

namespace mlx::core::cpu {

/**
 * out[i] = op(a[i], b[i], c[i]) for i < n. No alignment is needed and nothing beyond n is touched.
 * out may be exactly one of the arguments if the item sizes agree. Where takes_single: if bit k of
 * `single` is set, argument k is one item, of which kSingle copies are there; else it is 0.
 */
using Kernel = void (*)(void* out, const void* a, const void* b, const void* c, size_t n,
                        unsigned single);
constexpr int kSingle = 32;  // two vectors of the smallest items

/** Rows of the table for one dtype, in the order of EwOp; null where the row does not take it. */
const Kernel* float32_kernels();
const Kernel* float64_kernels();
const Kernel* float16_kernels();
const Kernel* bfloat16_kernels();
const Kernel* complex_kernels();
/** For bool and the integer dtypes. */
const Kernel* integer_kernels(Dtype::Val dtype);

Kernel cast_kernel(Dtype::Val from, Dtype::Val to);
/** Select among items of this many bytes. */
Kernel select_kernel(size_t itemsize);

/** The loop of an instruction; throws std::invalid_argument if there is none. */
Kernel find_kernel(const TapeInstr& instr);
bool takes_single(const TapeInstr& instr);

}  // namespace mlx::core::cpu
