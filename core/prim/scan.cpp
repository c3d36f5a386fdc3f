// core/prim/scan.cpp: derivatives and batching of running reductions.
#include "core/prim/scan.h"

#include "mlx/ops.h"

namespace mlx::core {

namespace {

array scan(const array& x, Scan::ReduceType type, int axis, bool reverse, bool inclusive,
           Stream s) {
  return array(x.shape(), x.dtype(), std::make_shared<Scan>(s, type, axis, reverse, inclusive),
               {x});
}

/** For each result of a running max or min: the position of the element it is equal to, and whether
 * there is one. */
struct Winner {
  array position;
  array exists;
};

Winner winners(const array& primal, const Scan& p, Stream s) {
  array x = stop_gradient(primal, s);  // positions have no derivative
  int axis = p.axis();
  array best = scan(x, p.reduce_type(), axis, p.reverse(), true, s);
  Shape along(x.ndim(), 1);
  along[axis] = x.shape(axis);
  array index = broadcast_to(reshape(arange(0, x.shape(axis), 1, s), along, s), x.shape(), s);
  // An element that equals the running result takes over, also from an equal one before it.
  array takes = logical_or(equal(x, best, s), not_equal(x, x, s), s);
  array last(p.reverse() ? x.shape(axis) : -1);
  array held = where(takes, index, last, s);
  auto type = p.reverse() ? Scan::Min : Scan::Max;
  array position = scan(held, type, axis, p.reverse(), p.inclusive(), s);
  // The exclusive scan starts with an integer limit, which is no position.
  array exists =
      logical_and(greater_equal(position, array(0), s), less(position, array(x.shape(axis)), s), s);
  return {where(exists, position, array(0), s), exists};
}

/** A product along the axis splits at its first zero: results before it, and from it on. */
struct ProductSplit {
  array first_zero;  // bool: the first zero, in the direction of the scan
  array safe;        // x with 1 in place of every zero
  array beyond;      // the running product with 1 in place of the first zero, 0 before it

  static ProductSplit make(const array& x, const Scan& p, Stream s) {
    array zero(0, x.dtype()), one(1, x.dtype());
    array is_zero = equal(x, zero, s);
    array count = scan(astype(is_zero, int32, s), Scan::Sum, p.axis(), p.reverse(), true, s);
    array first = logical_and(is_zero, equal(count, array(1), s), s);
    array product =
        scan(where(first, one, x, s), Scan::Prod, p.axis(), p.reverse(), p.inclusive(), s);
    array passed =
        scan(astype(first, int32, s), Scan::Sum, p.axis(), p.reverse(), p.inclusive(), s);
    return {first, where(is_zero, one, x, s),
            where(greater(passed, array(0), s), product, zero, s)};
  }
};

/** log of the positive part of x, with a finite stand-in for the log of 0 that exp takes to 0. */
array log_positive(const array& x, Stream s) {
  array positive = greater(x, array(0, x.dtype()), s);
  return where(positive, log(where(positive, x, array(1, x.dtype()), s), s),
               array(-1e30f, x.dtype()), s);
}

}  // namespace

std::vector<array> Scan::vjp(const std::vector<array>& primals,
                             const std::vector<array>& cotangents, const std::vector<int>&,
                             const std::vector<array>& outputs) {
  Stream s = stream();
  const array& x = primals[0];
  const array& cotan = cotangents[0];
  auto back = [&](const array& v, ReduceType type) {
    return scan(v, type, axis_, !reverse_, inclusive_, s);
  };
  switch (reduce_type_) {
    case Sum:
      return {back(cotan, Sum)};
    case Prod: {
      auto split = ProductSplit::make(x, *this, s);
      array zero(0, x.dtype());
      array before = divide(back(multiply(cotan, outputs[0], s), Sum), split.safe, s);
      array at = back(multiply(cotan, split.beyond, s), Sum);
      return {where(split.first_zero, at, where(equal(x, zero, s), zero, before, s), s)};
    }
    case Max:
    case Min: {
      auto w = winners(x, *this, s);
      array given = where(w.exists, cotan, array(0, cotan.dtype()), s);
      return {scatter_add_axis(zeros_like(x, s), w.position, given, axis_, s)};
    }
    default: {
      // d out_i / d x_j = exp(x_j - out_i): sums of exponentials, so the scan of their logarithms,
      // once for the positive cotangents and once for the negative ones, neither overflows nor
      // cancels.
      Dtype wide = promote_types(x.dtype(), float32);
      array out = astype(outputs[0], wide, s), c = astype(cotan, wide, s);
      if (wide == complex64) {
        return {multiply(exp(x, s), back(multiply(c, exp(negative(out, s), s), s), Sum), s)};
      }
      array known = isfinite(out, s);
      auto part = [&](const array& sign) {
        array l = where(known, subtract(log_positive(sign, s), out, s), array(-1e30f, wide), s);
        return exp(add(astype(x, wide, s), back(l, LogAddExp), s), s);
      };
      return {astype(subtract(part(c), part(negative(c, s)), s), x.dtype(), s)};
    }
  }
}

std::vector<array> Scan::jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                             const std::vector<int>&) {
  Stream s = stream();
  const array& x = primals[0];
  const array& t = tangents[0];
  auto forward = [&](const array& v, ReduceType type) {
    return scan(v, type, axis_, reverse_, inclusive_, s);
  };
  switch (reduce_type_) {
    case Sum:
      return {forward(t, Sum)};
    case Prod: {
      auto split = ProductSplit::make(x, *this, s);
      array zero(0, x.dtype());
      array rates = where(equal(x, zero, s), zero, divide(t, split.safe, s), s);
      array before = multiply(forward(x, Prod), forward(rates, Sum), s);
      array at = forward(where(split.first_zero, t, zero, s), Sum);
      return {add(before, multiply(split.beyond, at, s), s)};
    }
    case Max:
    case Min: {
      auto w = winners(x, *this, s);
      return {where(w.exists, take_along_axis(t, w.position, axis_, s), array(0, t.dtype()), s)};
    }
    default: {
      Dtype wide = promote_types(x.dtype(), float32);
      array xw = astype(x, wide, s), tw = astype(t, wide, s);
      array out = forward(xw, LogAddExp);
      if (wide == complex64) {
        return {multiply(exp(negative(out, s), s), forward(multiply(tw, exp(xw, s), s), Sum), s)};
      }
      array known = isfinite(out, s);
      array low(-1e30f, wide);
      auto part = [&](const array& sign) {
        array l = maximum(add(log_positive(sign, s), xw, s), low, s);
        return exp(where(known, subtract(forward(l, LogAddExp), out, s), low, s), s);
      };
      return {astype(subtract(part(tw), part(negative(tw, s)), s), x.dtype(), s)};
    }
  }
}

std::pair<std::vector<array>, std::vector<int>> Scan::vmap(const std::vector<array>& inputs,
                                                           const std::vector<int>& axes) {
  int axis = axis_ + (axes[0] >= 0 && axis_ >= axes[0]);
  return {{scan(inputs[0], reduce_type_, axis, reverse_, inclusive_, stream())}, axes};
}

}  // namespace mlx::core
