// core/elementwise.h: the rows of the elementwise table as an enum, with what the graph needs of
// them.
#pragma once

#include <cstdint>

#include "mlx/dtype.h"

namespace mlx::core {

enum class EwOp : uint8_t {
#define EW(name, ...) name,
#include "mlx/elementwise.def"
#undef EW
  Cast,  // a tape instruction; not a row: AsType is its primitive
  kCount
};

enum class EwTakes : uint8_t { Any, NoBool, Real, Inexact, RealFloat, Integral, Bits, Logical };
enum class EwGives : uint8_t { Same, Bool, Part };

struct EwInfo {
  const char* name;      // of the primitive, "LogAddExp"
  const char* function;  // "logaddexp"
  uint8_t arity;
  EwTakes takes;
  EwGives gives;
  const char* cuda;
  float ulp;
  const char* doc;
};

const EwInfo& info(EwOp op);

/** The dtype that arguments of dtype t are converted to; throws std::invalid_argument if refused.
 */
Dtype argument_dtype(EwOp op, Dtype t);
/** The dtype of the result for arguments of dtype t. */
Dtype result_dtype(EwOp op, Dtype t);

}  // namespace mlx::core
