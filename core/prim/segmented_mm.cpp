// core/prim/segmented_mm.cpp: products of pieces of the inner axis, and their adjoint.
#include "core/prim/gather_mm.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;

array swapped(const array& a, Stream s) { return swapaxes(a, -1, -2, s); }

/** With a batch of size n in front of some inputs: those without it get it too. */
array spread(const array& a, int axis, int n, Stream s) {
  if (axis >= 0) return moveaxis(a, axis, 0, s);
  Shape shape = a.shape();
  shape.insert(shape.begin(), n);
  return broadcast_to(expand_dims(a, 0, s), shape, s);
}

int batch_size(const Arrays& in, const std::vector<int>& axes) {
  int n = 1;
  for (size_t i = 0; i < in.size(); ++i) {
    if (axes[i] >= 0) n = in[i].shape(axes[i]);
  }
  return n;
}

/** Segments of entry i of a batch of inner axes of size k, as segments of all of them in a row. */
array shifted(const array& segments, int k, Stream s) {
  array inside = clip(segments, array(0), array(k), s);
  Shape column(segments.ndim(), 1);
  column[0] = segments.shape(0);
  array firsts = multiply(arange(0, segments.shape(0), 1, int32, s), array(k), s);
  return add(inside, reshape(firsts, column, s), s);
}

}  // namespace

// ---- SegmentedMM ----

std::vector<Shape> SegmentedMM::output_shapes(const Arrays& in) {
  Shape shape(in[2].shape().begin(), in[2].shape().end() - 1);
  shape.push_back(in[0].shape(0));
  shape.push_back(in[1].shape(1));
  return {shape};
}

Arrays SegmentedMM::vjp(const Arrays& primals, const Arrays& cotangents,
                        const std::vector<int>& argnums, const Arrays&) {
  Stream s = stream();
  const array &a = primals[0], &b = primals[1], &segments = primals[2], &g = cotangents[0];
  Arrays result;
  for (int k : argnums) {
    if (k == 0) {
      result.push_back(swapped(segmented_rows(b, swapped(g, s), segments, s), s));
    } else if (k == 1) {
      result.push_back(segmented_rows(swapped(a, s), g, segments, s));
    } else {
      result.push_back(zeros_like(segments, s));
    }
  }
  return result;
}

Arrays SegmentedMM::jvp(const Arrays& primals, const Arrays& tangents,
                        const std::vector<int>& argnums) {
  Stream s = stream();
  std::optional<array> total;
  for (size_t i = 0; i < argnums.size(); ++i) {
    if (argnums[i] == 2) continue;
    array part = segmented_mm(argnums[i] == 0 ? tangents[i] : primals[0],
                              argnums[i] == 1 ? tangents[i] : primals[1], primals[2], s);
    total = total ? add(*total, part, s) : part;
  }
  if (!total) total = zeros(output_shapes(primals)[0], primals[0].dtype(), s);
  return {*total};
}

std::pair<Arrays, std::vector<int>> SegmentedMM::vmap(const Arrays& in,
                                                      const std::vector<int>& axes) {
  Stream s = stream();
  if (axes[0] < 0 && axes[1] < 0)
    return {{segmented_mm(in[0], in[1], moveaxis(in[2], axes[2], 0, s), s)}, {0}};
  int n = batch_size(in, axes);
  array a = spread(in[0], axes[0], n, s), b = spread(in[1], axes[1], n, s);
  int k = b.shape(1);
  // The inner axes of the batch in a row: [m, n * k] and [n * k, columns].
  array wide = reshape(transpose(a, {1, 0, 2}, s), {a.shape(1), n * k}, s);
  array tall = reshape(b, {n * k, b.shape(2)}, s);
  return {{segmented_mm(wide, tall, shifted(spread(in[2], axes[2], n, s), k, s), s)}, {0}};
}

array segmented_mm(array a, array b, array segments, StreamOrDevice s_) {
  Stream s = to_stream(s_);
  if (a.ndim() != 2 || b.ndim() != 2) {
    throw std::invalid_argument(
        "[segmented_mm] Both matrices must have 2 dimensions (batches are not supported) but have "
        "shapes " +
        to_string(a.shape()) + " and " + to_string(b.shape()) + ".");
  }
  if (a.shape(1) != b.shape(0)) {
    throw std::invalid_argument("[segmented_mm] Last dimension of first input with shape " +
                                to_string(a.shape()) +
                                " must match second to last dimension of second input with shape " +
                                to_string(b.shape()) + ".");
  }
  if (segments.ndim() < 1 || segments.shape(-1) != 2) {
    throw std::invalid_argument("[segmented_mm] The segments should have shape (..., 2) but " +
                                to_string(segments.shape()) + " was provided.");
  }
  if (!issubdtype(segments.dtype(), integer)) {
    throw std::invalid_argument(
        "[segmented_mm] Got segments with invalid dtype. Segments must be integral.");
  }
  Dtype t = result_type(a, b);
  if (!issubdtype(t, floating)) {
    throw std::invalid_argument(
        std::string("[segmented_mm] Only real floating point types are supported but ") +
        dtype_to_string(a.dtype()) + " and " + dtype_to_string(b.dtype()) + " were provided.");
  }
  Arrays in{astype(a, t, s), astype(b, t, s), astype(segments, int32, s)};
  auto prim = std::make_shared<SegmentedMM>(s);
  return array(prim->output_shapes(in)[0], t, prim, in);
}

// ---- SegmentedRows ----

std::vector<Shape> SegmentedRows::output_shapes(const Arrays& in) {
  return {{in[0].shape(0), in[1].shape(-1)}};
}

array segmented_rows(const array& r, const array& g, const array& segments, StreamOrDevice s_) {
  Stream s = to_stream(s_);
  auto prim = std::make_shared<SegmentedRows>(s);
  Dtype t = result_type(r, g);
  Arrays in{astype(r, t, s), astype(g, t, s), segments};
  return array(prim->output_shapes(in)[0], t, prim, in);
}

Arrays SegmentedRows::vjp(const Arrays& primals, const Arrays& cotangents,
                          const std::vector<int>& argnums, const Arrays&) {
  Stream s = stream();
  const array &r = primals[0], &g = primals[1], &segments = primals[2], &c = cotangents[0];
  Arrays result;
  for (int k : argnums) {
    if (k == 0) {
      result.push_back(segmented_rows(c, swapped(g, s), segments, s));
    } else if (k == 1) {
      result.push_back(segmented_mm(swapped(r, s), c, segments, s));
    } else {
      result.push_back(zeros_like(segments, s));
    }
  }
  return result;
}

Arrays SegmentedRows::jvp(const Arrays& primals, const Arrays& tangents,
                          const std::vector<int>& argnums) {
  Stream s = stream();
  std::optional<array> total;
  for (size_t i = 0; i < argnums.size(); ++i) {
    if (argnums[i] == 2) continue;
    array part = segmented_rows(argnums[i] == 0 ? tangents[i] : primals[0],
                                argnums[i] == 1 ? tangents[i] : primals[1], primals[2], s);
    total = total ? add(*total, part, s) : part;
  }
  if (!total) total = zeros(output_shapes(primals)[0], primals[0].dtype(), s);
  return {*total};
}

std::pair<Arrays, std::vector<int>> SegmentedRows::vmap(const Arrays& in,
                                                        const std::vector<int>& axes) {
  Stream s = stream();
  int n = batch_size(in, axes);
  array r = spread(in[0], axes[0], n, s), g = spread(in[1], axes[1], n, s);
  int k = r.shape(1);
  array out = segmented_rows(reshape(r, {n * k, r.shape(2)}, s), g,
                             shifted(spread(in[2], axes[2], n, s), k, s), s);
  return {{reshape(out, {n, k, out.shape(1)}, s)}, {0}};
}

}  // namespace mlx::core
