// core/prim/elementwise_rows.h: rows of the elementwise table under the class names that MLX has
// for them. `exp(x).primitive()` is an Exp; rows without a class are plain Elementwise.
#pragma once

#include "core/prim/elementwise.h"

namespace mlx::core {

// The rows whose class is made from a stream alone (clang-format does not rest on such a list).
// clang-format off
#define MLX_PLAIN_ROWS(ROW)                                                                      \
  ROW(Abs) ROW(Add) ROW(ArcCos) ROW(ArcCosh) ROW(ArcSin) ROW(ArcSinh) ROW(ArcTan) ROW(ArcTan2)   \
  ROW(ArcTanh) ROW(BitwiseInvert) ROW(Ceil) ROW(Conjugate) ROW(Cos) ROW(Cosh) ROW(Divide)        \
  ROW(Erf) ROW(ErfInv) ROW(Exp) ROW(Expm1) ROW(Floor) ROW(FloorDivide) ROW(Greater)              \
  ROW(GreaterEqual) ROW(Imag) ROW(Less) ROW(LessEqual) ROW(Log1p) ROW(LogAddExp) ROW(LogicalAnd) \
  ROW(LogicalNot) ROW(LogicalOr) ROW(Maximum) ROW(Minimum) ROW(Multiply) ROW(Negative)           \
  ROW(NotEqual) ROW(Power) ROW(Real) ROW(Remainder) ROW(Select) ROW(Sigmoid) ROW(Sign) ROW(Sin)  \
  ROW(Sinh) ROW(Square) ROW(Subtract) ROW(Tan) ROW(Tanh)
// clang-format on

#define MLX_ROW_CLASS(Name)                                 \
  class Name final : public Elementwise {                   \
   public:                                                  \
    explicit Name(Stream s) : Elementwise(s, EwOp::Name) {} \
  };
MLX_PLAIN_ROWS(MLX_ROW_CLASS)
#undef MLX_ROW_CLASS

class Round final : public Elementwise {
 public:
  explicit Round(Stream s) : Elementwise(s, EwOp::Rint) {}
};

/** The square root, or one over it. */
class Sqrt final : public Elementwise {
 public:
  explicit Sqrt(Stream s, bool recip = false) : Elementwise(s, recip ? EwOp::Rsqrt : EwOp::Sqrt) {}
  bool state() const { return op() == EwOp::Rsqrt; }
};

class Equal final : public Elementwise {
 public:
  explicit Equal(Stream s, bool equal_nan = false)
      : Elementwise(s, equal_nan ? EwOp::NanEqual : EwOp::Equal) {}
  bool state() const { return op() == EwOp::NanEqual; }
};

class Log final : public Elementwise {
 public:
  enum Base { two, ten, e };
  explicit Log(Stream s, Base base)
      : Elementwise(s, base == two   ? EwOp::Log2
                       : base == ten ? EwOp::Log10
                                     : EwOp::Log) {}
  Base state() const { return op() == EwOp::Log2 ? two : op() == EwOp::Log10 ? ten : e; }
};

class BitwiseBinary final : public Elementwise {
 public:
  enum Op { And, Or, Xor, LeftShift, RightShift };
  explicit BitwiseBinary(Stream s, Op op) : Elementwise(s, kRows[op]) {}
  Op state() const {
    int i = 0;
    while (kRows[i] != op()) ++i;
    return static_cast<Op>(i);
  }

 private:
  static constexpr EwOp kRows[] = {EwOp::BitwiseAnd, EwOp::BitwiseOr, EwOp::BitwiseXor,
                                   EwOp::LeftShift, EwOp::RightShift};
};

}  // namespace mlx::core
