// python/src/reductions.cpp: reductions, running results, and sorting.
#include <nanobind/stl/tuple.h>

#include "bind.h"
#include "define.h"
#include "mlx/ops.h"

namespace {

/** Binds op, an overload set of (a, keepdims, s) and (a, axes, keepdims, s). */
#define REDUCTION(name, doc)                                                              \
  def_both(                                                                               \
      m, #name,                                                                           \
      "(a: array, /, axis: None | int | Sequence[int] = None, keepdims: bool = False, "   \
      "*, " STREAM_SIG,                                                                   \
      doc,                                                                                \
      [](const mx::array& a, nb::handle axis, bool keepdims, mx::StreamOrDevice s) {      \
        Axes axes = to_axes(axis, #name);                                                 \
        return axes.all ? mx::name(a, keepdims, s) : mx::name(a, axes.list, keepdims, s); \
      },                                                                                  \
      "axis"_a.none() = nb::none(), "keepdims"_a = false, STREAM_ONLY)

#define ARG_REDUCTION(name, doc)                                                                 \
  def_both(                                                                                      \
      m, #name, "(a: array, /, axis: None | int = None, keepdims: bool = False, *, " STREAM_SIG, \
      doc,                                                                                       \
      [](const mx::array& a, std::optional<int> axis, bool keepdims, mx::StreamOrDevice s) {     \
        return axis ? mx::name(a, *axis, keepdims, s) : mx::name(a, keepdims, s);                \
      },                                                                                         \
      "axis"_a.none() = nb::none(), "keepdims"_a = false, STREAM_ONLY)

// Scans that take a dtype, and those that do not.
#define SCAN_DTYPE(name, op, define, doc)                                                         \
  define(                                                                                         \
      m, name,                                                                                    \
      "(a: array, /, axis: int | None = None, *, reverse: bool = False, inclusive: bool = True, " \
      "dtype: Dtype | None = None, " STREAM_SIG,                                                  \
      doc,                                                                                        \
      [](const mx::array& a, std::optional<int> axis, bool reverse, bool inclusive,               \
         std::optional<mx::Dtype> dtype, mx::StreamOrDevice s) {                                  \
        return axis ? mx::op(a, *axis, reverse, inclusive, dtype, s)                              \
                    : mx::op(a, reverse, inclusive, dtype, s);                                    \
      },                                                                                          \
      SCAN_ARGS_OF(define) "axis"_a.none() = nb::none(), nb::kw_only(), "reverse"_a = false,      \
      "inclusive"_a = true, "dtype"_a.none() = nb::none(), "stream"_a.none() = nb::none())
#define SCAN_ARGS_OF(define) SCAN_ARGS_##define
#define SCAN_ARGS_def_both
#define SCAN_ARGS_def_function nb::arg(),
#define SCAN(name, doc)                                                                       \
  def_both(                                                                                   \
      m, #name,                                                                               \
      "(a: array, /, axis: int | None = None, *, reverse: bool = False, inclusive: bool = "   \
      "True, " STREAM_SIG,                                                                    \
      doc,                                                                                    \
      [](const mx::array& a, std::optional<int> axis, bool reverse, bool inclusive,           \
         mx::StreamOrDevice s) {                                                              \
        return axis ? mx::name(a, *axis, reverse, inclusive, s)                               \
                    : mx::name(a, reverse, inclusive, s);                                     \
      },                                                                                      \
      "axis"_a.none() = nb::none(), nb::kw_only(), "reverse"_a = false, "inclusive"_a = true, \
      "stream"_a.none() = nb::none())

void bind_variance(nb::module_& m) {
  using WithAxes =
      mx::array (*)(const mx::array&, const std::vector<int>&, bool, int, mx::StreamOrDevice);
  using Whole = mx::array (*)(const mx::array&, bool, int, mx::StreamOrDevice);
  auto bind = [&](const char* name, WithAxes with_axes, Whole whole, const char* doc) {
    auto run = [=](const mx::array& a, nb::handle axis, bool keepdims, int ddof,
                   mx::StreamOrDevice s) {
      Axes axes = to_axes(axis, name);
      return axes.all ? whole(a, keepdims, ddof, s) : with_axes(a, axes.list, keepdims, ddof, s);
    };
    def_function(m, name,
                 "(a: array, /, axis: None | int | Sequence[int] = None, keepdims: bool = False, "
                 "ddof: int = 0, *, " STREAM_SIG,
                 doc, run, nb::arg(), "axis"_a.none() = nb::none(), "keepdims"_a = false,
                 "ddof"_a = 0, STREAM_ONLY);
    // The array API's name for ddof.
    array_class().def(
        name,
        [run](const mx::array& a, nb::handle axis, bool keepdims, int ddof,
              std::optional<int> correction, mx::StreamOrDevice s) {
          return run(a, axis, keepdims, correction.value_or(ddof), s);
        },
        "axis"_a.none() = nb::none(), "keepdims"_a = false, "ddof"_a = 0, nb::kw_only(),
        "correction"_a.none() = nb::none(), "stream"_a.none() = nb::none(),
        nb::sig(keep_text(std::string("def ") + name +
                          "(self, axis: int | Sequence[int] | None = None, keepdims: bool = False, "
                          "ddof: int = 0, *, correction: int | None = None, " STREAM_SIG)),
        keep_text(std::string("See :func:`") + name + "`."));
  };
  bind("var", &mx::var, &mx::var, "The variance; ``ddof`` is taken off the divisor.");
  bind("std", &mx::std, &mx::std, "The standard deviation; ``ddof`` is taken off the divisor.");
}

void bind_sorting(nb::module_& m) {
#define SORT(name, doc)                                                       \
  def_function(                                                               \
      m, #name, "(a: array, /, axis: None | int = -1, *, " STREAM_SIG, doc,   \
      [](const mx::array& a, std::optional<int> axis, mx::StreamOrDevice s) { \
        return axis ? mx::name(a, *axis, s) : mx::name(a, s);                 \
      },                                                                      \
      nb::arg(), "axis"_a.none() = -1, STREAM_ONLY)
  SORT(sort,
       "The array in ascending order along ``axis`` (flattened if ``None``); equal elements keep "
       "their order.");
  SORT(argsort, "The indices (``uint32``) that sort the array along ``axis``.");
#define SELECT(name, param, doc)                                                             \
  def_function(                                                                              \
      m, #name, "(a: array, /, " #param ": int, axis: None | int = -1, *, " STREAM_SIG, doc, \
      [](const mx::array& a, int param, std::optional<int> axis, mx::StreamOrDevice s) {     \
        return axis ? mx::name(a, param, *axis, s) : mx::name(a, param, s);                  \
      },                                                                                     \
      nb::arg(), nb::arg(#param), "axis"_a.none() = -1, STREAM_ONLY)
  SELECT(partition, kth,
         "Element ``kth`` of the sorted order at its place, smaller ones before it, larger ones "
         "after it.");
  SELECT(argpartition, kth, "The indices (``uint32``) of :func:`partition`.");
  SELECT(topk, k, "The ``k`` largest elements along ``axis``, in no particular order.");
  def_function(
      m, "searchsorted",
      "(sorted_sequence: array, values: array, /, side: str = 'left', *, " STREAM_SIG,
      "Where ``values`` would be put into a sorted sequence; ``side`` says on which side of equal "
      "elements.",
      [](const mx::array& seq, nb::handle values, const std::string& side, mx::StreamOrDevice s) {
        return mx::searchsorted(seq, to_array(values, seq.dtype()), side, s);
      },
      nb::arg(), nb::arg(), "side"_a = "left", STREAM_ONLY);
  def_function(
      m, "unique",
      "(a: array, /, size: int, return_index: bool = False, return_inverse: bool = False, "
      "return_counts: "
      "bool = False, fill_value: scalar | array | None = None, *, stream: StreamOrDevice = None) "
      "-> array | "
      "tuple[array, ...]",
      R"(
The distinct values in ascending order. ``size`` fixes how many there are: others are left out, missing
ones are ``fill_value`` (the smallest value by default). The flags add the index of the first
occurrence, the index of each element among the values, and how often each occurs.)",
      [](const mx::array& a, int size, bool index, bool inverse, bool counts, nb::handle fill,
         mx::StreamOrDevice s) -> nb::object {
        auto out =
            mx::unique(a, size, index, inverse, counts, to_optional_array(fill, a.dtype()), s);
        if (!index && !inverse && !counts) return nb::steal(wrap_array(out[0]));
        nb::list list;
        for (auto& x : out) list.append(nb::steal(wrap_array(x)));
        return nb::tuple(list);
      },
      nb::arg(), "size"_a, "return_index"_a = false, "return_inverse"_a = false,
      "return_counts"_a = false, "fill_value"_a.none() = nb::none(), STREAM_ONLY);
}

}  // namespace

void bind_reductions(nb::module_& m) {
  REDUCTION(all, "Whether all elements along the axes are not zero.");
  REDUCTION(any, "Whether any element along the axes is not zero.");
  REDUCTION(sum,
            "The sum along the axes (all if ``None``). Small integers add up as ``int32``, half "
            "floats in ``float32``.");
  REDUCTION(prod, "The product along the axes.");
  REDUCTION(max, "The largest element along the axes. Raises ``ValueError`` for none.");
  REDUCTION(min, "The smallest element along the axes. Raises ``ValueError`` for none.");
  REDUCTION(mean, "The mean along the axes.");
  REDUCTION(logsumexp, "``log(sum(exp(a)))`` along the axes without overflow.");
  ARG_REDUCTION(argmax, "The index (``uint32``) of the first largest element.");
  ARG_REDUCTION(argmin, "The index (``uint32``) of the first smallest element.");
  constexpr const char* sig =
      "(a: array, /, axis: None | int | Sequence[int] = None, keepdims: bool = False, "
      "*, " STREAM_SIG;
  def_function(
      m, "median", sig,
      "The middle of the sorted values along the axes, or the mean of the middle two.",
      [](const mx::array& a, nb::handle axis, bool keepdims, mx::StreamOrDevice s) {
        Axes axes = to_axes(axis, "median");
        return axes.all ? mx::median(a, keepdims, s) : mx::median(a, axes.list, keepdims, s);
      },
      nb::arg(), "axis"_a.none() = nb::none(), "keepdims"_a = false, STREAM_ONLY);
  def_function(
      m, "minmax",
      "(a: array, /, axis: None | int | Sequence[int] = None, keepdims: bool = False, *, stream: "
      "StreamOrDevice = None) -> tuple[array, array]",
      "The smallest and the largest element along the axes.",
      [](const mx::array& a, nb::handle axis, bool keepdims, mx::StreamOrDevice s) {
        Axes axes = to_axes(axis, "minmax");
        return axes.all ? mx::minmax(a, keepdims, s) : mx::minmax(a, axes.list, keepdims, s);
      },
      nb::arg(), "axis"_a.none() = nb::none(), "keepdims"_a = false, STREAM_ONLY);
  def_function(
      m, "count_nonzero",
      "(a: array, /, *, axis: None | int | Sequence[int] = None, keepdims: bool = "
      "False, " STREAM_SIG,
      "How many elements along the axes are not zero.",
      [](const mx::array& a, nb::handle axis, bool keepdims, mx::StreamOrDevice s) {
        Axes axes = to_axes(axis, "count_nonzero");
        return axes.all ? mx::count_nonzero(a, keepdims, s)
                        : mx::count_nonzero(a, axes.list, keepdims, s);
      },
      nb::arg(), nb::kw_only(), "axis"_a.none() = nb::none(), "keepdims"_a = false,
      "stream"_a.none() = nb::none());
  def_function(
      m, "softmax",
      "(a: array, /, axis: None | int | Sequence[int] = None, *, precise: bool = "
      "False, " STREAM_SIG,
      "``exp(a)`` divided by its sum along the axes.",
      [](const mx::array& a, nb::handle axis, bool precise, mx::StreamOrDevice s) {
        Axes axes = to_axes(axis, "softmax");
        return axes.all ? mx::softmax(a, precise, s) : mx::softmax(a, axes.list, precise, s);
      },
      nb::arg(), "axis"_a.none() = nb::none(), nb::kw_only(), "precise"_a = false,
      "stream"_a.none() = nb::none());
  bind_variance(m);

  constexpr const char* sums =
      "Running sums along ``axis`` (flattened if ``None``), from the other end if "
      "``reverse``, without the element itself unless ``inclusive``.";
  constexpr const char* products =
      "Running products along ``axis``; the parameters are those of :func:`cumsum`.";
  SCAN_DTYPE("cumsum", cumsum, def_both, sums);
  SCAN_DTYPE("cumprod", cumprod, def_both, products);
  SCAN_DTYPE("cumulative_sum", cumsum, def_function, sums);
  SCAN_DTYPE("cumulative_prod", cumprod, def_function, products);
  SCAN(cummax, "Running maxima along ``axis``; the parameters are those of :func:`cumsum`.");
  SCAN(cummin, "Running minima along ``axis``; the parameters are those of :func:`cumsum`.");
  SCAN(logcumsumexp,
       "Running ``logsumexp`` along ``axis``; the parameters are those of :func:`cumsum`.");
  def_function(
      m, "diff", "(a: array, /, n: int = 1, axis: int = -1, *, " STREAM_SIG,
      "Differences of neighbours along ``axis``, taken ``n`` times.",
      [](const mx::array& a, int n, int axis, mx::StreamOrDevice s) {
        return mx::diff(a, n, axis, s);
      },
      nb::arg(), "n"_a = 1, "axis"_a = -1, STREAM_ONLY);
  bind_sorting(m);
}
