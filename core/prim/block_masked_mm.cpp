// core/prim/block_masked_mm.cpp: products with masks of one element a block.
#include "core/prim/gather_mm.h"
#include "mlx/ops.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;
using Mask = std::optional<array>;

array swapped(const array& a, Stream s) { return swapaxes(a, -1, -2, s); }
Mask swapped(const Mask& m, Stream s) { return m ? Mask(swapaxes(*m, -1, -2, s)) : std::nullopt; }

int blocks(int n, int block) { return (n + block - 1) / block; }

/** Sums of each block of block x block elements. */
array block_sums(const array& a, int block, Stream s) {
  int rows = a.shape(-2), cols = a.shape(-1), r = blocks(rows, block), c = blocks(cols, block);
  std::vector<std::pair<int, int>> border(a.ndim(), {0, 0});
  border[a.ndim() - 2].second = r * block - rows;
  border[a.ndim() - 1].second = c * block - cols;
  Shape shape(a.shape().begin(), a.shape().end() - 2);
  for (int n : {r, block, c, block}) shape.push_back(n);
  array padded = pad(a, border, array(0, a.dtype()), "constant", s);
  return sum(reshape(padded, shape, s), {-3, -1}, false, s);
}

}  // namespace

std::vector<Mask> BlockMaskedMM::masks_of(const Arrays& inputs) const {
  std::vector<Mask> masks;
  for (int m = 0; m < 3; ++m)
    masks.push_back(input_of(m) < 0 ? std::nullopt : Mask(inputs[input_of(m)]));
  return masks;
}

std::vector<Shape> BlockMaskedMM::output_shapes(const Arrays& in) {
  Shape shape = in[0].shape();
  shape.back() = in[1].shape(-1);
  return {shape};
}

Arrays BlockMaskedMM::vjp(const Arrays& primals, const Arrays& cotangents,
                          const std::vector<int>& argnums, const Arrays&) {
  Stream s = stream();
  const array &a = primals[0], &b = primals[1], &g = cotangents[0];
  auto masks = masks_of(primals);
  auto as_mask = [&](const array& sums, int k) {
    return primals[k].dtype() == bool_ ? zeros_like(primals[k], s)
                                       : astype(sums, primals[k].dtype(), s);
  };
  Arrays result;
  for (int k : argnums) {
    if (k == 0) {
      result.push_back(
          block_masked_mm(g, swapped(b, s), block_, masks[1], masks[0], swapped(masks[2], s), s));
    } else if (k == 1) {
      result.push_back(
          block_masked_mm(swapped(a, s), g, block_, masks[2], swapped(masks[1], s), masks[0], s));
    } else if (k == input_of(0)) {
      array y = block_masked_mm(a, b, block_, std::nullopt, masks[1], masks[2], s);
      result.push_back(as_mask(block_sums(multiply(g, y, s), block_, s), k));
    } else if (k == input_of(1)) {
      array da = block_masked_mm(g, swapped(b, s), block_, std::nullopt, masks[0],
                                 swapped(masks[2], s), s);
      result.push_back(as_mask(block_sums(multiply(da, a, s), block_, s), k));
    } else {
      array db = block_masked_mm(swapped(a, s), g, block_, std::nullopt, swapped(masks[1], s),
                                 masks[0], s);
      result.push_back(as_mask(block_sums(multiply(db, b, s), block_, s), k));
    }
  }
  return result;
}

Arrays BlockMaskedMM::jvp(const Arrays& primals, const Arrays& tangents,
                          const std::vector<int>& argnums) {
  Stream s = stream();
  std::optional<array> total;
  for (size_t i = 0; i < argnums.size(); ++i) {
    int k = argnums[i];
    if (primals[k].dtype() == bool_) continue;
    Arrays in = primals;  // linear in each of its inputs
    in[k] = tangents[i];
    auto masks = masks_of(in);
    array part = block_masked_mm(in[0], in[1], block_, masks[0], masks[1], masks[2], s);
    total = total ? add(*total, part, s) : part;
  }
  if (!total) total = zeros(output_shapes(primals)[0], primals[0].dtype(), s);
  return {*total};
}

std::pair<Arrays, std::vector<int>> BlockMaskedMM::vmap(const Arrays& inputs,
                                                        const std::vector<int>& axes) {
  Stream s = stream();
  Arrays in;
  for (size_t i = 0; i < inputs.size(); ++i) {
    in.push_back(axes[i] >= 0 ? moveaxis(inputs[i], axes[i], 0, s) : expand_dims(inputs[i], 0, s));
  }
  // A mask may be all that is batched: the product has its axis then too.
  Shape batch{1};
  for (size_t i = 0; i < in.size(); ++i) batch = broadcast_shapes(batch, {in[i].shape(0)});
  if (in[0].shape(0) != batch[0]) {
    Shape shape = in[0].shape();
    shape[0] = batch[0];
    in[0] = broadcast_to(in[0], shape, s);
  }
  auto masks = masks_of(in);
  return {{block_masked_mm(in[0], in[1], block_, masks[0], masks[1], masks[2], s)}, {0}};
}

array block_masked_mm(array a, array b, int block_size, Mask mask_out, Mask mask_lhs, Mask mask_rhs,
                      StreamOrDevice s_) {
  Stream s = to_stream(s_);
  if (a.ndim() == 0 || b.ndim() == 0) {
    throw std::invalid_argument(
        "[block_masked_mm] Got 0 dimension input. Inputs must have at least one dimension.");
  }
  if (block_size <= 0) {
    throw std::invalid_argument("[block_masked_mm] block_size must be positive but is " +
                                std::to_string(block_size) + ".");
  }
  bool row = a.ndim() == 1, column = b.ndim() == 1;
  if (row) a = expand_dims(a, 0, s);
  if (column) b = expand_dims(b, 1, s);
  if (a.shape(-1) != b.shape(-2)) {
    throw std::invalid_argument("[block_masked_mm] Last dimension of first input with shape " +
                                to_string(a.shape()) +
                                " must match second to last dimension of second input with shape " +
                                to_string(b.shape()) + ".");
  }
  Dtype t = result_type(a, b);
  if (!issubdtype(t, floating)) {
    throw std::invalid_argument(
        std::string("[block_masked_mm] Only real floating point types are supported but ") +
        dtype_to_string(a.dtype()) + " and " + dtype_to_string(b.dtype()) + " were provided.");
  }
  Shape batch = broadcast_shapes(Shape(a.shape().begin(), a.shape().end() - 2),
                                 Shape(b.shape().begin(), b.shape().end() - 2));
  auto with_batch = [&](const array& x, int rows, int cols) {
    Shape shape = batch;
    shape.push_back(rows);
    shape.push_back(cols);
    return broadcast_to(x, shape, s);
  };
  int m = a.shape(-2), k = a.shape(-1), n = b.shape(-1);
  Arrays in{with_batch(astype(a, t, s), m, k), with_batch(astype(b, t, s), k, n)};
  auto add_mask = [&](const Mask& mask, int rows, int cols) {
    if (!mask) return;
    if (mask->dtype() == complex64) {
      throw std::invalid_argument("[block_masked_mm] Masks must be boolean or real.");
    }
    array x = mask->dtype() == bool_ ? *mask : astype(*mask, t, s);
    in.push_back(with_batch(x, blocks(rows, block_size), blocks(cols, block_size)));
  };
  add_mask(mask_out, m, n);
  add_mask(mask_lhs, m, k);
  add_mask(mask_rhs, k, n);
  auto prim = std::make_shared<BlockMaskedMM>(s, block_size, mask_out.has_value(),
                                              mask_lhs.has_value(), mask_rhs.has_value());
  array out =
      in.size() == 2 ? matmul(in[0], in[1], s) : array(prim->output_shapes(in)[0], t, prim, in);
  if (row) out = squeeze(out, -2, s);
  if (column) out = squeeze(out, -1, s);
  return out;
}

}  // namespace mlx::core
