// core/at_once.cpp
#include "core/at_once.h"

#include <typeinfo>

#include "core/copy.h"
#include "core/observe.h"
#include "core/prim/elementwise.h"
#include "core/prim/reduce.h"
#include "core/run.h"
#include "core/source.h"
#include "core/tape.h"

namespace mlx::core {

namespace {

constexpr size_t kMostElements = 16384;  // of each array: nobody else may plan meanwhile

/** How many packed elements a repeats, in row-major order; -1 if it is no such array. */
int64_t period_of(const array& a) {
  if (a.flags().row_contiguous) return static_cast<int64_t>(a.size());
  int64_t period = 1;
  bool repeats = false;
  for (int d = a.ndim() - 1; d >= 0; --d) {
    const int64_t n = a.shape(d), stride = a.strides(d);
    if (n == 1) continue;
    if (stride == 0 && n > 0)
      repeats = true;
    else if (stride != period || repeats)
      return -1;
    else
      period *= n;
  }
  return period;
}

/** An elementwise operation or a cast over operands that are packed, or all turned the same way. */
bool run_packed(Primitive& primitive, const std::vector<array>& inputs, array& out) {
  if (!is_map(primitive)) return false;
  TapeInstr instr{EwOp::Cast, inputs.back().dtype().val(), out.dtype().val(), {}};
  if (const Elementwise* row = primitive.as_elementwise()) instr.op = row->op();
  PackedOperand operands[3];
  const array* turned = nullptr;
  bool packed = true, alike = true;
  for (size_t k = 0; k < inputs.size(); ++k) {
    const array& in = inputs[k];
    operands[k] = {in.data<char>(), period_of(in)};
    packed &= operands[k].period >= 0;
    if (operands[k].period == 1) continue;
    alike &= in.flags().contiguous && in.shape() == out.shape() &&
             (!turned || turned->strides() == in.strides());
    turned = &in;
  }
  if (packed) {
    allocate(out);
  } else if (alike && turned) {
    detail::allocate_as(out, out.shape(), turned->strides());
    for (PackedOperand& o : operands)
      o.period = o.period == 1 ? 1 : static_cast<int64_t>(out.size());
  } else {
    return false;
  }
  packed_runner()(instr, static_cast<int64_t>(out.size()), operands, out.data<char>());
  return true;
}

}  // namespace

bool AtOnce::collect(array& a, int depth) {
  if (a.status() != array::unscheduled) return a.is_available() && a.size() <= kMostElements;
  for (int i = 0; i < count_; ++i) {
    if (nodes_[i]->id() == a.id()) return true;
  }
  if (depth == kMostNodes || a.size() > kMostElements || !a.has_primitive() || a.has_siblings() ||
      a.is_tracer() || !a.primitive().only_computes() || a.primitive().device() != Device::cpu) {
    return false;
  }
  for (auto& in : a.inputs()) {
    if (!collect(in, depth + 1)) return false;
  }
  // A tape sums what it computes in another order than values in memory: leave it to do so.
  const auto summed = [&](const array& in) {
    return in.status() == array::unscheduled && is_map(in.primitive());
  };
  const Primitive& primitive = a.primitive();
  if (typeid(primitive) == typeid(Reduce) && summed(a.inputs()[0])) return false;
  if (count_ == kMostNodes) return false;
  nodes_[count_++] = &a;
  return true;
}

bool AtOnce::compute(array& a) {
  if (a.status() != array::unscheduled || observer() || !collect(a, 0)) return false;
  for (int i = 0; i < count_; ++i) {
    array& node = *nodes_[i];
    try {
      if (!run_packed(node.primitive(), node.inputs(), node)) {
        std::vector<array> outs{node};
        node.primitive().eval_cpu(node.inputs(), outs);
      }
    } catch (...) {
      rethrow_from(node.source());
    }
    node.set_status(array::available);
  }
  return true;
}

void AtOnce::detach() {
  for (int i = 0; i < count_; ++i) nodes_[i]->detach();
}

}  // namespace mlx::core
