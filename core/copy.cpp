// core/copy.cpp: laying out results.
#include "core/copy.h"

#include "core/tape.h"

namespace mlx::core {

void allocate(array& out) { out.set_data(allocator::malloc(out.nbytes())); }

void allocate_or_donate(const array& in, array& out) {
  if (in.is_donatable() && in.flags().row_contiguous && in.nbytes() == out.nbytes() &&
      in.data_size() == in.size()) {
    size_t span;
    auto strides = row_major_strides(out.shape());
    auto flags = layout_flags(out.shape(), strides, span);
    out.copy_shared_buffer(in, strides, flags, out.size());
  } else {
    allocate(out);
  }
}

void make_view(const array& in, array& out, const Strides& strides, int64_t offset) {
  size_t span = 0;
  auto flags = layout_flags(out.shape(), strides, span);
  out.copy_shared_buffer(in, strides, flags, span, out.size() == 0 ? 0 : offset);
}

void copy_into(const array& src, array& dst) {
  if (dst.size() == 0) return;
  Tape tape;
  tape.inputs = {src.dtype().val()};
  tape.outputs = {0};
  if (src.dtype() != dst.dtype()) {
    tape.instrs = {{EwOp::Cast, src.dtype().val(), dst.dtype().val(), {0, 0, 0}}};
    tape.outputs = {1};
  }
  auto* from = const_cast<void*>(static_cast<const void*>(src.data<char>()));
  tape_runner(Device::cpu)(tape, dst.shape(),
                           {{from, src.strides()}, {dst.data<void>(), dst.strides()}});
}

array row_contiguous(const array& src) {
  if (src.flags().row_contiguous) return src;
  array out(src.shape(), src.dtype(), nullptr, {});
  allocate(out);
  copy_into(src, out);
  out.set_status(array::available);
  return out;
}

}  // namespace mlx::core
