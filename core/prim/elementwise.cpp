// core/prim/elementwise.cpp: expansions of the elementwise table for the graph.
#include "core/prim/elementwise.h"

#include <mutex>
#include <unordered_map>

#include "core/copy.h"
#include "core/prim/cast.h"
#include "core/prim/elementwise_rows.h"
#include "core/prim/shape.h"
#include "core/tape.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

constexpr EwInfo kInfo[] = {
#define EW(Name, func, arity, takes, gives, VEC, SCALAR, COMPLEX, JVP, VJP, cuda, ulp, doc) \
  {#Name, #func, arity, EwTakes::takes, EwGives::gives, cuda, ulp, doc},
#include "mlx/elementwise.def"
#undef EW
    {"Cast", "astype", 1, EwTakes::Any, EwGives::Same, "(x)", 0, "Conversion between dtypes."},
};

// ---- what the derivative columns are written with ----
array one(const array& like) { return array(1.0f, like.dtype()); }
array zero(const array& like) { return array(0.0f, like.dtype()); }
array scaled(const array& x, double by) { return x * array(by, x.dtype()); }
array masked(const array& g, const array& mask) { return where(mask, g, array(0.0f, g.dtype())); }
array times_i(const array& g, const array& x) {
  return x.dtype() == complex64 ? g * array(std::complex<float>(0, 1)) : zeros_like(x);
}

using Map = array (*)(const array& g, const array& x, const array& y, const array& z,
                      const array& out);
struct Derivative {
  Map jvp[3];
  Map vjp;  // for one-argument ops whose cotangent map is not the conjugate of jvp
};

#define MAP(...)                                                                                  \
  [](const array& g, const array& x, const array& y, const array& z, const array& out) -> array { \
    (void)g, (void)x, (void)y, (void)z, (void)out;                                                \
    return __VA_ARGS__;                                                                           \
  }
// JVP(a, b, c): one map for each argument.
#define MAPS_1(a) \
  { MAP(a), nullptr, nullptr }
#define MAPS_2(a, b) \
  { MAP(a), MAP(b), nullptr }
#define MAPS_3(a, b, c) \
  { MAP(a), MAP(b), MAP(c) }
#define PICK(_1, _2, _3, NAME, ...) NAME
#define JVP(...) PICK(__VA_ARGS__, MAPS_3, MAPS_2, MAPS_1)(__VA_ARGS__)
#define VJP(...) MAP(__VA_ARGS__)
#define ZERO \
  { nullptr, nullptr, nullptr }
#define AUTO nullptr

const Derivative& derivative(EwOp op) {
  static const Derivative kDerivatives[] = {
#define EW(Name, func, arity, takes, gives, VEC, SCALAR, COMPLEX, JVP, VJP, cuda, ulp, doc) \
  {JVP, VJP},
#include "mlx/elementwise.def"
#undef EW
  };
  return kDerivatives[static_cast<int>(op)];
}

// The arguments of a derivative map: missing ones repeat the first.
array apply(Map map, const array& g, const std::vector<array>& args, const array& out) {
  const array& y = args.size() > 1 ? args[1] : args[0];
  const array& z = args.size() > 2 ? args[2] : args[0];
  return map(g, args[0], y, z, out);
}

array node(EwOp op, const std::vector<array>& inputs, Stream s) {
  const array* shaped = &inputs[0];
  for (const auto& in : inputs) {
    if (in.ndim() > shaped->ndim()) shaped = &in;
  }
  return array(shaped->shape(), result_dtype(op, inputs.back().dtype()), Elementwise::get(op, s),
               inputs);
}

// Of the row's own class, if it has one.
std::shared_ptr<Primitive> make_row(EwOp op, Stream s) {
  switch (op) {
#define MLX_MAKE(Name) \
  case EwOp::Name:     \
    return std::make_shared<Name>(s);
    MLX_PLAIN_ROWS(MLX_MAKE)
#undef MLX_MAKE
    case EwOp::BitwiseAnd:
      return std::make_shared<BitwiseBinary>(s, BitwiseBinary::And);
    case EwOp::BitwiseOr:
      return std::make_shared<BitwiseBinary>(s, BitwiseBinary::Or);
    case EwOp::BitwiseXor:
      return std::make_shared<BitwiseBinary>(s, BitwiseBinary::Xor);
    case EwOp::LeftShift:
      return std::make_shared<BitwiseBinary>(s, BitwiseBinary::LeftShift);
    case EwOp::RightShift:
      return std::make_shared<BitwiseBinary>(s, BitwiseBinary::RightShift);
    case EwOp::Equal:
      return std::make_shared<Equal>(s, false);
    case EwOp::NanEqual:
      return std::make_shared<Equal>(s, true);
    case EwOp::Log:
      return std::make_shared<Log>(s, Log::e);
    case EwOp::Log2:
      return std::make_shared<Log>(s, Log::two);
    case EwOp::Log10:
      return std::make_shared<Log>(s, Log::ten);
    case EwOp::Rint:
      return std::make_shared<Round>(s);
    case EwOp::Sqrt:
      return std::make_shared<Sqrt>(s, false);
    case EwOp::Rsqrt:
      return std::make_shared<Sqrt>(s, true);
    default:
      return std::make_shared<Elementwise>(s, op);
  }
}

[[noreturn]] void refuse(EwOp op, const char* why) {
  throw std::invalid_argument(std::string("[") + info(op).function + "] " + why);
}

}  // namespace

const EwInfo& info(EwOp op) { return kInfo[static_cast<int>(op)]; }

Dtype argument_dtype(EwOp op, Dtype t) {
  bool integral = t == bool_ || issubdtype(t, integer);
  switch (info(op).takes) {
    case EwTakes::Any:
      return t;
    case EwTakes::NoBool:
      if (t == bool_) refuse(op, "Not supported for bool, use logical_not instead.");
      return t;
    case EwTakes::RealFloat:
      if (t == complex64) refuse(op, "Not supported for complex64.");
      return integral ? float32 : t;
    case EwTakes::Real:
      if (t == complex64) refuse(op, "Not supported for complex64.");
      return t;
    case EwTakes::Inexact:
      return integral ? float32 : t;
    case EwTakes::Integral:
    case EwTakes::Bits:
      if (!integral) {
        refuse(op, (std::string("Only allowed on integer or boolean types but got ") +
                    dtype_to_string(t) + ".")
                       .c_str());
      }
      return info(op).takes == EwTakes::Bits && t == bool_ ? uint8 : t;
    case EwTakes::Logical:
      return bool_;
  }
  return t;
}

Dtype result_dtype(EwOp op, Dtype t) {
  if (info(op).gives == EwGives::Bool) return bool_;
  return info(op).gives == EwGives::Part && t == complex64 ? float32 : t;
}

std::shared_ptr<Primitive> Elementwise::get(EwOp op, Stream s) {
  // By thread, so that building a graph takes no lock.
  thread_local std::unordered_map<int, std::vector<std::shared_ptr<Primitive>>> cache;
  auto& row = cache[s.index];
  if (row.empty()) row.resize(static_cast<size_t>(EwOp::kCount));
  auto& p = row[static_cast<size_t>(op)];
  if (!p) p = make_row(op, s);
  return p;
}

bool Elementwise::is_equivalent(const Primitive& other) const {
  auto* e = other.as_elementwise();
  return e && e->op_ == op_;
}

void Elementwise::eval_cpu(const std::vector<array>& inputs, array& out) {
  Tape tape;
  TapeInstr instr{op_, inputs.back().dtype().val(), out.dtype().val(), {0, 0, 0}};
  std::vector<TapeOperand> operands;
  for (size_t i = 0; i < inputs.size(); ++i) {
    tape.inputs.push_back(inputs[i].dtype().val());
    instr.args[i] = static_cast<uint16_t>(i);
    auto strides = inputs[i].ndim() == out.ndim() ? inputs[i].strides() : Strides(out.ndim(), 0);
    operands.push_back({const_cast<char*>(inputs[i].data<char>()), strides});
  }
  tape.instrs.push_back(instr);
  tape.outputs.push_back(static_cast<uint16_t>(inputs.size()));
  allocate(out);
  operands.push_back({out.data<char>(), out.strides()});
  tape_runner(Device::cpu)(tape, out.shape(), operands);
}

void Elementwise::eval_gpu(const std::vector<array>& inputs, array& out) { eval_cpu(inputs, out); }

std::vector<array> Elementwise::jvp(const std::vector<array>& primals,
                                    const std::vector<array>& tangents,
                                    const std::vector<int>& argnums) {
  const auto& d = derivative(op_);
  array out = node(op_, primals, stream());
  array sum = zeros(out.shape(), out.dtype(), stream());
  bool first = true;
  for (size_t i = 0; i < argnums.size(); ++i) {
    Map map = d.jvp[argnums[i]];
    if (!map) continue;
    array part = apply(map, tangents[i], primals, out);
    sum = first ? part : add(sum, part, stream());
    first = false;
  }
  if (sum.shape() != out.shape()) sum = broadcast_to(sum, out.shape(), stream());
  return {astype(sum, out.dtype(), stream())};
}

std::vector<array> Elementwise::vjp(const std::vector<array>& primals,
                                    const std::vector<array>& cotangents,
                                    const std::vector<int>& argnums,
                                    const std::vector<array>& outputs) {
  const auto& d = derivative(op_);
  std::vector<array> result;
  for (int k : argnums) {
    const array& in = primals[k];
    if (!d.jvp[k]) {
      result.push_back(zeros_like(in, stream()));
      continue;
    }
    array g = cotangents[0];
    if (d.vjp) {
      g = apply(d.vjp, g, primals, outputs[0]);
    } else if (outputs[0].dtype() == complex64) {
      g = conjugate(apply(d.jvp[k], conjugate(g), primals, outputs[0]));
    } else {
      g = apply(d.jvp[k], g, primals, outputs[0]);
    }
    if (g.dtype() != in.dtype()) g = astype(g, in.dtype(), stream());
    if (in.ndim() == 0 && g.ndim() != 0) g = sum(g, false, stream());
    result.push_back(std::move(g));
  }
  return result;
}

int align_batch(std::vector<array>& inputs, const std::vector<int>& axes, Stream s) {
  size_t ndim = 0;  // of one item
  bool any = false;
  bool aligned = true;
  int axis = -1;
  for (size_t i = 0; i < inputs.size(); ++i) {
    ndim = std::max(ndim, inputs[i].ndim() - (axes[i] >= 0));
    any |= axes[i] >= 0;
  }
  if (!any) return -1;
  // Nothing moves if all batched arguments have the same rank and axis and the others are scalars.
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (axes[i] < 0) {
      aligned &= inputs[i].ndim() == 0;
    } else {
      aligned &= inputs[i].ndim() == ndim + 1 && (axis < 0 || axes[i] == axis);
      axis = axes[i];
    }
  }
  if (aligned) return axis;
  Shape full(ndim + 1, 1);
  for (size_t i = 0; i < inputs.size(); ++i) {
    array& in = inputs[i];
    if (axes[i] > 0) in = moveaxis(in, axes[i], 0, s);
    if (axes[i] >= 0 && in.ndim() < ndim + 1) {
      Shape shape(1, in.shape(0));  // a batch of scalars
      shape.resize(ndim + 1, 1);
      in = reshape(in, shape, s);
    } else if (axes[i] < 0 && in.ndim() > 0) {
      in = expand_dims(in, 0, s);
    }
    if (in.ndim() > 0) full = broadcast_shapes(full, in.shape());
  }
  for (auto& in : inputs) {
    if (in.ndim() > 0 && in.shape() != full) in = broadcast_to(in, full, s);
  }
  return 0;
}

std::pair<std::vector<array>, std::vector<int>> Elementwise::vmap(const std::vector<array>& inputs,
                                                                  const std::vector<int>& axes) {
  auto args = inputs;
  int axis = align_batch(args, axes, stream());
  return {{node(op_, args, stream())}, {axis}};
}

namespace {
const bool registered =
    register_primitive("Elementwise", [](Stream s, FieldReader& in) -> std::shared_ptr<Primitive> {
      std::string name = in.next<std::string>();
      for (int i = 0; i < static_cast<int>(EwOp::Cast); ++i) {
        if (name == kInfo[i].name) return Elementwise::get(static_cast<EwOp>(i), s);
      }
      throw std::invalid_argument("there is no elementwise operation named '" + name + "'");
    });
}  // namespace

std::vector<Shape> Elementwise::output_shapes(const std::vector<array>& inputs) {
  Shape shape;
  for (const auto& in : inputs) shape = broadcast_shapes(shape, in.shape());
  return {shape};
}

array elementwise(EwOp op, const std::vector<array>& args, StreamOrDevice s) {
  Stream stream = to_stream(s);
  std::vector<array> inputs;
  inputs.reserve(args.size());
  if (op == EwOp::Select) {
    Dtype t = result_type(args[1], args[2]);
    inputs.push_back(astype(args[0], bool_, stream));
    inputs.push_back(astype(args[1], t, stream));
    inputs.push_back(astype(args[2], t, stream));
  } else {
    Dtype t = args.size() == 1 ? args[0].dtype() : result_type(args[0], args[1]);
    t = argument_dtype(op, t);
    for (const auto& a : args) inputs.push_back(astype(a, t, stream));
  }
  if (inputs.size() > 1) {
    bool differ = false;
    Shape shape = inputs[0].shape();
    for (size_t i = 1; i < inputs.size(); ++i) {
      if (inputs[i].shape() == shape) continue;
      if (inputs[i].ndim() == 0) continue;
      if (shape.empty()) {
        shape = inputs[i].shape();
        continue;
      }
      differ = true;
      shape = broadcast_shapes(shape, inputs[i].shape());
    }
    if (differ) {
      for (auto& in : inputs) {
        if (in.ndim() > 0 && in.shape() != shape) in = Broadcast::implicit(in, shape, stream);
      }
    }
  }
  return node(op, inputs, stream);
}

// ---- the public functions ----
#define FUNCTION_1(Name, func) \
  array func(const array& a, StreamOrDevice s) { return elementwise(EwOp::Name, {a}, s); }
#define FUNCTION_2(Name, func)                                   \
  array func(const array& a, const array& b, StreamOrDevice s) { \
    return elementwise(EwOp::Name, {a, b}, s);                   \
  }
#define FUNCTION_3(Name, func)                                                   \
  array func(const array& a, const array& b, const array& c, StreamOrDevice s) { \
    return elementwise(EwOp::Name, {a, b, c}, s);                                \
  }
#define EW(Name, func, arity, ...) FUNCTION_##arity(Name, func)
#include "mlx/elementwise.def"
#undef EW

}  // namespace mlx::core
