// include/mlx/primitives.h: the operations of the graph under their class names, for programs that
// build nodes themselves or ask what a node is. For an op of your own mlx/primitive.h is enough.
//
// The classes are Mica's own, shown as they are: MLX's constructors, state() and nested enums are
// there; other members may change. docs/cpp.md says which classes of MLX have no counterpart.
#pragma once

#include "core/prim/cast.h"
#include "core/prim/convolution.h"
#include "core/prim/elementwise_rows.h"
#include "core/prim/gather_mm.h"
#include "core/prim/hadamard.h"
#include "core/prim/indexing.h"
#include "core/prim/join.h"
#include "core/prim/linalg_factor.h"
#include "core/prim/linalg_solve.h"
#include "core/prim/linalg_spectral.h"
#include "core/prim/matmul.h"
#include "core/prim/number_of_elements.h"
#include "core/prim/quantized.h"
#include "core/prim/random_bits.h"
#include "core/prim/reduce.h"
#include "core/prim/scan.h"
#include "core/prim/shape.h"
#include "core/prim/slice.h"
#include "core/prim/softmax.h"
#include "core/prim/sort.h"
#include "mlx/primitive.h"
