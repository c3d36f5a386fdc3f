// core/ops/sort.cpp: order and search along an axis.
#include "core/prim/sort.h"

#include "mlx/ops.h"

namespace mlx::core {

namespace {

int check_axis(const char* op, const array& a, int axis) {
  int ndim = static_cast<int>(a.ndim());
  int ax = axis < 0 ? axis + ndim : axis;
  if (ax < 0 || ax >= ndim) {
    throw std::out_of_range(std::string("[") + op + "] Axis " + std::to_string(axis) +
                            " is out of bounds for array with " + std::to_string(ndim) +
                            " dimensions.");
  }
  return ax;
}

int check_kth(const char* op, const array& a, int kth, int axis, int ax) {
  int size = a.shape(ax);
  if (kth < -size || kth >= size) {
    throw std::invalid_argument(std::string("[") + op + "] Received invalid kth " +
                                std::to_string(kth) + " along axis " + std::to_string(axis) +
                                " for array with shape: " + to_string(a.shape()));
  }
  return kth < 0 ? kth + size : kth;
}

array arg_reduce(const char* op, ArgReduce::ReduceType type, const array& a, int axis,
                 bool keepdims, StreamOrDevice s) {
  int ax = normalize_axis_index(axis, static_cast<int>(a.ndim()), std::string("[") + op + "] ");
  if (a.size() == 0) {
    throw std::invalid_argument(std::string("[") + op + "] Cannot " + op +
                                " reduce zero size array.");
  }
  Shape shape = a.shape();
  shape[ax] = 1;
  array out(shape, uint32, std::make_shared<ArgReduce>(to_stream(s), type, ax), {a});
  return keepdims ? out : squeeze(out, ax, s);
}

array arg_reduce_all(const char* op, ArgReduce::ReduceType type, const array& a, bool keepdims,
                     StreamOrDevice s) {
  array out = arg_reduce(op, type, flatten(a, s), 0, true, s);
  return reshape(out, keepdims ? Shape(a.ndim(), 1) : Shape{}, s);
}

}  // namespace

array argmin(const array& a, bool keepdims, StreamOrDevice s) {
  return arg_reduce_all("argmin", ArgReduce::ArgMin, a, keepdims, s);
}
array argmin(const array& a, int axis, bool keepdims, StreamOrDevice s) {
  return arg_reduce("argmin", ArgReduce::ArgMin, a, axis, keepdims, s);
}
array argmax(const array& a, bool keepdims, StreamOrDevice s) {
  return arg_reduce_all("argmax", ArgReduce::ArgMax, a, keepdims, s);
}
array argmax(const array& a, int axis, bool keepdims, StreamOrDevice s) {
  return arg_reduce("argmax", ArgReduce::ArgMax, a, axis, keepdims, s);
}

array sort(const array& a, StreamOrDevice s) { return sort(flatten(a, s), 0, s); }
array sort(const array& a, int axis, StreamOrDevice s) {
  int ax = check_axis("sort", a, axis);
  return array(a.shape(), a.dtype(), std::make_shared<Sort>(to_stream(s), ax), {a});
}

array argsort(const array& a, StreamOrDevice s) { return argsort(flatten(a, s), 0, s); }
array argsort(const array& a, int axis, StreamOrDevice s) {
  int ax = check_axis("argsort", a, axis);
  return array(a.shape(), uint32, std::make_shared<ArgSort>(to_stream(s), ax), {a});
}

array partition(const array& a, int kth, StreamOrDevice s) {
  return partition(flatten(a, s), kth, 0, s);
}
array partition(const array& a, int kth, int axis, StreamOrDevice s) {
  int ax = check_axis("partition", a, axis);
  int k = check_kth("partition", a, kth, axis, ax);
  return array(a.shape(), a.dtype(), std::make_shared<Partition>(to_stream(s), k, ax), {a});
}

array argpartition(const array& a, int kth, StreamOrDevice s) {
  return argpartition(flatten(a, s), kth, 0, s);
}
array argpartition(const array& a, int kth, int axis, StreamOrDevice s) {
  int ax = check_axis("argpartition", a, axis);
  int k = check_kth("argpartition", a, kth, axis, ax);
  return array(a.shape(), uint32, std::make_shared<ArgPartition>(to_stream(s), k, ax), {a});
}

array topk(const array& a, int k, StreamOrDevice s) { return topk(flatten(a, s), k, 0, s); }
array topk(const array& a, int k, int axis, StreamOrDevice s) {
  int ax = check_axis("topk", a, axis);
  int size = a.shape(ax);
  if (k < 0 || k > size) {
    throw std::invalid_argument("[topk] Received invalid k=" + std::to_string(k) + " along axis " +
                                std::to_string(axis) +
                                " for array with shape: " + to_string(a.shape()));
  }
  if (k == size) return a;
  Shape start(a.ndim(), 0), stop = a.shape();
  start[ax] = size - k;
  if (k == 0) return slice(a, start, stop, s);
  return slice(partition(a, -k, ax, s), start, stop, s);
}

array searchsorted(const array& sorted_sequence, const array& values, const std::string& side,
                   StreamOrDevice s) {
  if (side != "left" && side != "right") {
    throw std::invalid_argument("[searchsorted] Invalid side '" + side +
                                "'. Expected 'left' or 'right'.");
  }
  if (sorted_sequence.ndim() != 1) {
    throw std::invalid_argument("[searchsorted] The sorted sequence must be 1-D but has " +
                                std::to_string(sorted_sequence.ndim()) + " dimensions.");
  }
  auto stream = to_stream(s);
  Dtype t = result_type(sorted_sequence, values);
  return array(values.shape(), uint32, std::make_shared<SearchSorted>(stream, side == "right"),
               {astype(sorted_sequence, t, stream), astype(values, t, stream)});
}

std::vector<array> unique(const array& a, int size, bool return_index, bool return_inverse,
                          bool return_counts, const std::optional<array>& fill_value,
                          StreamOrDevice s) {
  if (size < 0) {
    throw std::invalid_argument("[unique] Received negative size " + std::to_string(size) + ".");
  }
  if (fill_value && fill_value->size() != 1) {
    throw std::invalid_argument("[unique] The fill value must be a scalar, got shape " +
                                to_string(fill_value->shape()) + ".");
  }
  int n = static_cast<int>(a.size());
  std::vector<array> out;
  if (n == 0) {
    if (size > 0 && !fill_value) {
      throw std::invalid_argument(
          "[unique] A fill value is required for an empty input with a non-zero size.");
    }
    out.push_back(size > 0 ? full({size}, reshape(*fill_value, {}, s), a.dtype(), s)
                           : zeros({0}, a.dtype(), s));
    if (return_index) out.push_back(zeros({size}, uint32, s));
    if (return_inverse) out.push_back(zeros(a.shape(), uint32, s));
    if (return_counts) out.push_back(zeros({size}, int32, s));
    return out;
  }
  array flat = flatten(a, s);
  array order = argsort(flat, 0, s);
  array sorted = take(flat, order, 0, s);
  // The first of each run of equal elements, and the number of the run each element is in.
  array differs = not_equal(slice(sorted, {1}, {n}, s), slice(sorted, {0}, {n - 1}, s), s);
  array first = concatenate({ones({1}, bool_, s), differs}, 0, s);
  array run =
      subtract(cumsum(astype(first, int32, s), 0, false, true, std::nullopt, s), array(1), s);
  // Runs beyond size, and elements that are not first, are written to a place that is cut off.
  auto write = [&](array init, const array& at, const array& values) {
    return slice(put_along_axis(init, at, values, 0, s), {0}, {size}, s);
  };
  array place = minimum(where(first, run, array(size), s), array(size), s);
  array first_value = slice(sorted, {0}, {1}, s);
  array fill = fill_value ? reshape(astype(*fill_value, a.dtype(), s), {1}, s) : first_value;
  out.push_back(write(broadcast_to(fill, {size + 1}, s), place, sorted));
  if (return_index) {
    array init = broadcast_to(slice(order, {0}, {1}, s), {size + 1}, s);
    out.push_back(write(init, place, order));
  }
  if (return_inverse) {
    array inverse = astype(minimum(run, array(std::max(size - 1, 0)), s), uint32, s);
    inverse = put_along_axis(zeros({n}, uint32, s), order, inverse, 0, s);
    out.push_back(reshape(inverse, a.shape(), s));
  }
  if (return_counts) {
    array counts =
        scatter_add_axis(zeros({size + 1}, int32, s), minimum(run, array(size), s), array(1), 0, s);
    out.push_back(slice(counts, {0}, {size}, s));
  }
  return out;
}

}  // namespace mlx::core
