// python/src/indexing.cpp: a[...] read, written and updated with `at`, by NumPy's rules.
//
// A key is first normalised to one entry a position. Ints and slices become one strided slice of
// the array; arrays then gather from (or scatter to) that slice. A boolean mask that is read, or
// that is mixed with other indices, is turned into the positions where it holds, which evaluates
// it.
#include "bind.h"
#include "define.h"
#include "mlx/ops.h"
#include "operators.h"

namespace {

enum class Mode { set, add, multiply, maximum, minimum };

struct Entry {
  enum Kind { integer, slice, new_axis, indices } kind;
  int start = 0, stop = 0, step = 1;  // of the axis: resolved, as mx::slice takes them
  int axis = -1;                      // of the source; -1 for new_axis
  int length = 0;                     // of a slice
  std::optional<mx::array> index;
};

struct Plan {
  std::vector<Entry> entries;
  mx::Shape start, stop, step;  // the slice that ints and slices describe
  bool whole = true;            // it is all of the source
  bool has_indices = false;
  mx::Shape block;       // the broadcast shape of all index arrays
  size_t block_pos = 0;  // where its axes stand in the result
};

[[noreturn]] void bad_key(PyObject* key) {
  throw std::invalid_argument("Cannot index mlx array using the given type: " + py_type_name(key) +
                              ".");
}

bool is_int_key(PyObject* k) {
  if (PyLong_CheckExact(k)) return true;
  if (PyBool_Check(k) || PyFloat_Check(k) || array_ptr(k) || PyList_Check(k) || PyTuple_Check(k))
    return false;
  if (PyLong_Check(k)) return true;
  if (!PyIndex_Check(k)) return false;
  // NumPy arrays have __index__ too, but are index arrays.
  return !PyObject_HasAttrString(k, "__len__") || !PyObject_CheckBuffer(k) ||
         (PyObject_HasAttrString(k, "ndim") && nb::cast<int>(nb::handle(k).attr("ndim")) == 0);
}

int key_int(PyObject* k) {
  Py_ssize_t v = PyNumber_AsSsize_t(k, PyExc_IndexError);
  if (v == -1 && PyErr_Occurred()) throw nb::python_error();
  if (v != static_cast<int>(v))
    throw std::out_of_range("Index " + std::to_string(v) + " is out of range.");
  return static_cast<int>(v);
}

int check_int(int i, int axis, const mx::array& a) {
  int n = a.shape(axis);
  if (i < -n || i >= n) {
    throw std::out_of_range("Index " + std::to_string(i) + " is out of range for axis " +
                            std::to_string(axis) + " of array with shape " +
                            mx::to_string(a.shape()) + ".");
  }
  return i < 0 ? i + n : i;
}

// A bound that is an array of no dimensions counts as its int.
nb::object slice_bound(nb::handle v) {
  if (v.is_none() || PyLong_Check(v.ptr())) return nb::borrow(v);
  nb::object index = nb::steal(PyNumber_Index(v.ptr()));
  if (!index.is_valid()) {
    PyErr_Clear();
    throw std::invalid_argument("Slice indices must be integers or None.");
  }
  return index;
}

Entry slice_entry(PyObject* key, int axis, int n) {
  nb::handle h(key);
  nb::object bounds[3] = {slice_bound(h.attr("start")), slice_bound(h.attr("stop")),
                          slice_bound(h.attr("step"))};
  nb::object clean = nb::steal(PySlice_New(bounds[0].ptr(), bounds[1].ptr(), bounds[2].ptr()));
  Py_ssize_t start, stop, step;
  if (PySlice_Unpack(clean.ptr(), &start, &stop, &step) < 0) throw nb::python_error();
  Py_ssize_t length = PySlice_AdjustIndices(n, &start, &stop, step);
  Entry e{Entry::slice, 0, 0, 1, axis, static_cast<int>(length), std::nullopt};
  constexpr Py_ssize_t limit = std::numeric_limits<int>::max();
  if (length == 0) {
    e.start = e.stop = 0;
  } else {
    e.start = static_cast<int>(start);
    e.step = length == 1 ? 1 : static_cast<int>(std::clamp(step, -limit, limit));
    // The last element taken decides the end; below element 0 a bound has to lie under -n.
    int64_t end = e.start + static_cast<int64_t>(length - 1) * e.step + (e.step > 0 ? 1 : -1);
    e.stop = end < 0 ? -n - 1 : static_cast<int>(end);
  }
  return e;
}

/** The index array a key stands for, if any: bool for a mask. */
std::optional<mx::array> key_array(PyObject* k) {
  if (mx::array* a = array_ptr(k)) return *a;
  if (PyList_Check(k)) {
    mx::array a = make_array(k);
    return a.size() == 0 ? mx::astype(a, mx::int32) : a;  // [] selects nothing
  }
  if (PyBool_Check(k)) return mx::array(k == Py_True, mx::bool_);
  if (PyUnicode_Check(k) || PyBytes_Check(k)) return std::nullopt;
  if (is_foreign_array(k)) return array_from_foreign(k, std::nullopt);
  return std::nullopt;
}

/** Where a mask holds: one index array for each of its axes. */
std::vector<mx::array> positions(mx::array mask) {
  mask = mx::contiguous(mask);
  eval_array(mask);
  const bool* p = mask.data<bool>();
  size_t count = 0;
  for (size_t i = 0; i < mask.size(); ++i) count += p[i];
  size_t ndim = mask.ndim();
  std::vector<std::vector<int32_t>> index(ndim, std::vector<int32_t>(count));
  std::vector<int32_t> at(ndim, 0);
  size_t next = 0;
  for (size_t i = 0; i < mask.size(); ++i) {
    if (p[i]) {
      for (size_t d = 0; d < ndim; ++d) index[d][next] = at[d];
      ++next;
    }
    for (size_t d = ndim; d-- > 0;) {
      if (++at[d] < mask.shape()[d]) break;
      at[d] = 0;
    }
  }
  std::vector<mx::array> out;
  for (auto& v : index) out.emplace_back(v.begin(), mx::Shape{static_cast<int>(count)}, mx::int32);
  return out;
}

void check_mask(const mx::array& mask, int axis, const mx::array& a) {
  for (size_t d = 0; d < mask.ndim(); ++d) {
    if (mask.shape()[d] != a.shape(axis + static_cast<int>(d))) {
      throw std::out_of_range("Boolean index with shape " + mx::to_string(mask.shape()) +
                              " does not match the axes it indexes of array with shape " +
                              mx::to_string(a.shape()) + ".");
    }
  }
}

/** The keys, one a position, with index arrays converted. */
struct Key {
  PyObject* object;  // borrowed; null where array is set
  std::optional<mx::array> array;
  nb::object keep;
};

std::vector<Key> split_key(PyObject* key) {
  std::vector<Key> out;
  auto add = [&](PyObject* k) {
    if (k == Py_None || k == Py_Ellipsis || PySlice_Check(k) || is_int_key(k)) {
      out.push_back({k, std::nullopt, nb::borrow(k)});
      return;
    }
    auto a = PyTuple_Check(k) ? std::optional(make_array(k)) : key_array(k);
    if (!a) bad_key(k);
    if (a->dtype() != mx::bool_ && !mx::issubdtype(a->dtype(), mx::integer)) {
      throw std::invalid_argument(
          std::string("Index arrays must be integers or booleans, but one has dtype ") +
          mx::dtype_to_string(a->dtype()) + ".");
    }
    out.push_back({nullptr, std::move(a), nb::object()});
  };
  if (PyTuple_Check(key)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); ++i) add(PyTuple_GET_ITEM(key, i));
  } else {
    add(key);
  }
  return out;
}

Plan make_plan(const mx::array& a, const std::vector<Key>& keys) {
  int ndim = static_cast<int>(a.ndim());
  int used = 0;
  int ellipses = 0;
  for (const Key& k : keys) {
    if (k.array) {
      used += k.array->dtype() == mx::bool_ ? static_cast<int>(k.array->ndim()) : 1;
    } else if (k.object == Py_Ellipsis) {
      ++ellipses;
    } else if (k.object != Py_None) {
      ++used;
    }
  }
  if (ellipses > 1) throw std::invalid_argument("An index can only have a single ellipsis (...)");
  if (used > ndim) {
    throw std::invalid_argument(ndim == 0 ? "Too many indices for array: array is 0-dimensional."
                                          : "Too many indices for array with " +
                                                std::to_string(ndim) + " dimensions.");
  }

  Plan p;
  int axis = 0;
  std::optional<size_t> ellipsis;  // the entry it stands before; it separates even if it is empty
  auto whole_axes = [&](int n) {
    for (; n > 0; --n, ++axis) {
      p.entries.push_back({Entry::slice, 0, a.shape(axis), 1, axis, a.shape(axis), std::nullopt});
    }
  };
  auto add_index = [&](mx::array index) {
    p.has_indices = true;
    p.block = mx::broadcast_shapes(p.block, index.shape());
    p.entries.push_back({Entry::indices, 0, a.shape(axis), 1, axis, 0, std::move(index)});
    ++axis;
  };
  for (const Key& k : keys) {
    if (k.array && k.array->dtype() == mx::bool_) {
      check_mask(*k.array, axis, a);
      for (mx::array& index : positions(*k.array)) add_index(std::move(index));
    } else if (k.array) {
      add_index(*k.array);
    } else if (k.object == Py_None) {
      p.entries.push_back({Entry::new_axis, 0, 0, 1, -1, 1, std::nullopt});
    } else if (k.object == Py_Ellipsis) {
      ellipsis = p.entries.size();
      whole_axes(ndim - used);
    } else if (PySlice_Check(k.object)) {
      p.entries.push_back(slice_entry(k.object, axis, a.shape(axis)));
      ++axis;
    } else {
      int i = check_int(key_int(k.object), axis, a);
      p.entries.push_back({Entry::integer, i, i + 1, 1, axis, 1, std::nullopt});
      ++axis;
    }
  }
  whole_axes(ndim - axis);

  // Ints beside index arrays count as index arrays: if all stand together the block takes their
  // place, otherwise it comes first.
  p.start = mx::Shape(ndim, 0);
  p.stop = a.shape();
  p.step = mx::Shape(ndim, 1);
  std::optional<size_t> first, last;
  bool apart = false;
  size_t result_axes = 0;
  for (size_t i = 0; i < p.entries.size(); ++i) {
    const Entry& e = p.entries[i];
    if (e.axis >= 0 && e.kind != Entry::indices) {
      p.start[e.axis] = e.start;
      p.stop[e.axis] = e.stop;
      p.step[e.axis] = e.step;
      if (e.start != 0 || e.stop != a.shape(e.axis) || e.step != 1) p.whole = false;
    }
    if (e.kind == Entry::integer || e.kind == Entry::indices) {
      if (last && (*last + 1 != i || ellipsis == i)) apart = true;
      if (!first) {
        first = i;
        p.block_pos = result_axes;
      }
      last = i;
    } else {
      ++result_axes;
    }
  }
  if (apart) p.block_pos = 0;
  return p;
}

/** The axes of kind among those of the slice, in order. */
std::vector<int> axes_of(const Plan& p, Entry::Kind kind) {
  std::vector<int> out;
  for (const Entry& e : p.entries) {
    if (e.kind == kind) out.push_back(e.axis);
  }
  return out;
}

/** Positions of new axes in the result, the block of the index arrays counted in. */
std::vector<int> new_axes(const Plan& p) {
  std::vector<int> out;
  size_t i = 0;  // axes of the result but for the block
  for (const Entry& e : p.entries) {
    if (e.kind != Entry::slice && e.kind != Entry::new_axis) continue;
    size_t at = i + (p.has_indices && i >= p.block_pos ? p.block.size() : 0);
    if (e.kind == Entry::new_axis) out.push_back(static_cast<int>(at));
    ++i;
  }
  return out;
}

/** Slices before the block in the result. */
int slices_before_block(const Plan& p) {
  size_t seen = 0;
  int slices = 0;
  for (const Entry& e : p.entries) {
    if (seen == p.block_pos) break;
    if (e.kind == Entry::slice || e.kind == Entry::new_axis) ++seen;
    if (e.kind == Entry::slice) ++slices;
  }
  return slices;
}

struct Indices {
  std::vector<mx::array> arrays;
  std::vector<int> axes;  // of the slice without the axes of ints
  mx::Shape sizes;        // of the gathered pieces
};

Indices indices_of(const Plan& p, const mx::array& squeezed) {
  Indices out;
  out.sizes = squeezed.shape();
  int axis = 0;
  for (const Entry& e : p.entries) {
    if (e.kind == Entry::indices) {
      out.arrays.push_back(*e.index);
      out.axes.push_back(axis);
      out.sizes[axis] = 1;
    }
    if (e.kind == Entry::indices || e.kind == Entry::slice) ++axis;
  }
  return out;
}

mx::array take_slice(const mx::array& a, const Plan& p) {
  mx::array x = p.whole ? a : mx::slice(a, p.start, p.stop, p.step);
  auto ints = axes_of(p, Entry::integer);
  return ints.empty() ? x : mx::squeeze(x, ints);
}

// The axes of the block moved from the front to their place (or back, to write).
mx::array move_block(const mx::array& a, const Plan& p, bool back) {
  int block = static_cast<int>(p.block.size());
  int before = slices_before_block(p);
  if (block == 0 || before == 0) return a;
  std::vector<int> order;
  int ndim = static_cast<int>(a.ndim());
  if (back) {
    for (int i = 0; i < block; ++i) order.push_back(before + i);
    for (int i = 0; i < before; ++i) order.push_back(i);
  } else {
    for (int i = 0; i < before; ++i) order.push_back(block + i);
    for (int i = 0; i < block; ++i) order.push_back(i);
  }
  for (int i = block + before; i < ndim; ++i) order.push_back(i);
  return mx::transpose(a, order);
}

mx::array read(const mx::array& a, const std::vector<Key>& keys) {
  // True and False add an axis of size 1 or 0.
  if (keys.size() == 1 && keys[0].array && keys[0].array->dtype() == mx::bool_ &&
      keys[0].array->ndim() == 0) {
    mx::array flag = *keys[0].array;
    eval_array(flag);
    mx::array x = mx::expand_dims(a, 0);
    if (flag.item<bool>()) return x;
    mx::Shape stop = x.shape();
    stop[0] = 0;
    return mx::slice(x, mx::Shape(x.ndim(), 0), stop);
  }
  if (keys.size() == 1 && keys[0].array && keys[0].array->dtype() == mx::bool_ &&
      keys[0].array->ndim() == a.ndim()) {
    check_mask(*keys[0].array, 0, a);
    return mx::take(mx::flatten(a), positions(mx::flatten(*keys[0].array))[0], 0);
  }
  Plan p = make_plan(a, keys);
  mx::array x = take_slice(a, p);
  if (p.has_indices) {
    Indices i = indices_of(p, x);
    int block = static_cast<int>(p.block.size());
    if (i.arrays.size() == 1 && (slices_before_block(p) == i.axes[0])) {
      x = mx::take(x, i.arrays[0], i.axes[0]);
    } else {
      x = mx::gather(x, i.arrays, i.axes, i.sizes);
      std::vector<int> ones;
      for (int axis : i.axes) ones.push_back(block + axis);
      x = move_block(mx::squeeze(x, ones), p, false);
    }
  }
  auto added = new_axes(p);
  return added.empty() ? x : mx::expand_dims(x, added);
}

// ---- writing

/** value without leading axes of size 1 beyond ndim. */
mx::array drop_leading(mx::array value, size_t ndim) {
  std::vector<int> ones;
  while (value.ndim() - ones.size() > ndim && value.shape()[ones.size()] == 1) {
    ones.push_back(static_cast<int>(ones.size()));
  }
  return ones.empty() ? value : mx::squeeze(value, ones);
}

mx::array combine(const mx::array& old, const mx::array& value, Mode mode) {
  switch (mode) {
    case Mode::add:
      return mx::add(old, value);
    case Mode::multiply:
      return mx::multiply(old, value);
    case Mode::maximum:
      return mx::maximum(old, value);
    case Mode::minimum:
      return mx::minimum(old, value);
    case Mode::set:
      break;
  }
  return value;
}

mx::array write_slice(const mx::array& a, const mx::array& value, const Plan& p, Mode mode) {
  switch (mode) {
    case Mode::add:
      return mx::slice_update_add(a, value, p.start, p.stop, p.step);
    case Mode::multiply:
      return mx::slice_update_prod(a, value, p.start, p.stop, p.step);
    case Mode::maximum:
      return mx::slice_update_max(a, value, p.start, p.stop, p.step);
    case Mode::minimum:
      return mx::slice_update_min(a, value, p.start, p.stop, p.step);
    case Mode::set:
      break;
  }
  return mx::slice_update(a, value, p.start, p.stop, p.step);
}

mx::array write_indices(const mx::array& a, const Indices& i, const mx::array& value, Mode mode) {
  switch (mode) {
    case Mode::add:
      return mx::scatter_add(a, i.arrays, value, i.axes);
    case Mode::multiply:
      return mx::scatter_prod(a, i.arrays, value, i.axes);
    case Mode::maximum:
      return mx::scatter_max(a, i.arrays, value, i.axes);
    case Mode::minimum:
      return mx::scatter_min(a, i.arrays, value, i.axes);
    case Mode::set:
      break;
  }
  return mx::scatter(a, i.arrays, value, i.axes);
}

// A mask over the leading axes needs no positions, so it stays lazy.
mx::array write_mask(const mx::array& a, mx::array mask, mx::array value, Mode mode) {
  check_mask(mask, 0, a);
  size_t rest = a.ndim() - mask.ndim();
  if (rest > 0) {
    std::vector<int> axes;
    for (size_t d = mask.ndim(); d < a.ndim(); ++d) axes.push_back(static_cast<int>(d));
    mask = mx::broadcast_to(mx::expand_dims(mask, axes), a.shape());
  }
  value = drop_leading(std::move(value), rest);
  if (value.ndim() <= rest) return mx::where(mask, combine(a, value, mode), a);
  if (value.ndim() != rest + 1) {
    throw std::invalid_argument("A value with shape " + mx::to_string(value.shape()) +
                                " cannot be assigned through a mask to an array with shape " +
                                mx::to_string(a.shape()) + ".");
  }
  mx::Shape full = value.shape();
  for (size_t d = 1; d < full.size(); ++d) full[d] = a.shape()[a.ndim() - rest + d - 1];
  value = mx::flatten(mx::broadcast_to(value, full));
  mx::array placed = mx::masked_scatter(a, mask, value);
  return mode == Mode::set ? placed : mx::where(mask, combine(a, placed, mode), a);
}

mx::array write(const mx::array& a, const std::vector<Key>& keys, mx::array value, Mode mode) {
  if (value.dtype() != a.dtype()) value = mx::astype(value, a.dtype());
  bool only_mask = false;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (i == 0 && keys[0].array && keys[0].array->dtype() == mx::bool_) {
      only_mask = true;
    } else if (keys[i].array || keys[i].object != Py_Ellipsis) {
      only_mask = false;
    }
  }
  if (only_mask && keys[0].array->ndim() <= a.ndim())
    return write_mask(a, *keys[0].array, value, mode);

  Plan p = make_plan(a, keys);
  mx::Shape result;  // of a[key]
  for (const Entry& e : p.entries) {
    if (e.kind == Entry::slice || e.kind == Entry::new_axis) result.push_back(e.length);
  }
  if (p.has_indices) result.insert(result.begin() + p.block_pos, p.block.begin(), p.block.end());
  for (int n : result) {
    if (n == 0) {
      mx::broadcast_shapes(drop_leading(value, result.size()).shape(), result);  // still checked
      return a;
    }
  }
  value = drop_leading(std::move(value), result.size());
  auto added = new_axes(p);
  auto ints = axes_of(p, Entry::integer);

  if (!p.has_indices) {
    if (value.ndim() > 0) {
      value = mx::broadcast_to(value, result);
      if (!added.empty()) value = mx::squeeze(value, added);
      if (!ints.empty()) value = mx::expand_dims(value, ints);
    }
    return write_slice(a, value, p, mode);
  }

  // The value in the layout of scatter: the block first, axes of size 1 where indices stand.
  mx::array target = take_slice(a, p);
  Indices i = indices_of(p, target);
  value = mx::broadcast_to(value, result);
  if (!added.empty()) value = mx::squeeze(value, added);
  value = move_block(value, p, true);
  std::vector<int> ones;
  for (int axis : i.axes) ones.push_back(static_cast<int>(p.block.size()) + axis);
  value = mx::expand_dims(value, ones);
  target = write_indices(target, i, value, mode);
  if (p.whole && ints.empty()) return target;
  if (!ints.empty()) target = mx::expand_dims(target, ints);
  return mx::slice_update(a, target, p.start, p.stop, p.step);
}

mx::array write_value(const mx::array& a, nb::handle value) {
  if (value.is_none()) throw_type_error("None cannot be assigned to the elements of an array.");
  if (PyList_Check(value.ptr()) || PyTuple_Check(value.ptr())) return make_array(value, a.dtype());
  return to_array(value, a.dtype());
}

/** a.at[key], whose methods give a new array. */
struct ArrayAt {
  mx::array a;
  nb::object key;

  mx::array update(nb::handle value, Mode mode) const {
    return write(a, keys(), write_value(a, value), mode);
  }
  std::vector<Key> keys() const {
    if (!key.is_valid()) {
      throw std::invalid_argument("Must give indices to array.at (e.g. `x.at[0].add(4)`).");
    }
    return split_key(key.ptr());
  }
};

}  // namespace

PyObject* array_subscript(PyObject* self, PyObject* key) {
  return guarded([&]() -> PyObject* {
    const mx::array& a = *array_ptr(self);
    if (PyLong_CheckExact(key) && a.ndim() > 0)
      return wrap_array(mx::take(a, check_int(key_int(key), 0, a), 0));
    if (mx::array* i = array_ptr(key); i && i->dtype() != mx::bool_ && a.ndim() > 0) {
      return wrap_array(mx::take(a, *i, 0));
    }
    if (key == Py_Ellipsis) return wrap_array(a);
    return wrap_array(read(a, split_key(key)));
  });
}

int array_assign_subscript(PyObject* self, PyObject* key, PyObject* value) {
  return guarded_int([&] {
    if (!value) throw_type_error("Elements of an array cannot be deleted.");
    mx::array& a = *array_ptr(self);
    a.overwrite_descriptor(write(a, split_key(key), write_value(a, value), Mode::set));
    return 0;
  });
}

void bind_indexing(nb::module_& m) {
  constexpr const char* value_sig = "(self, value: scalar | array | ArrayLike) -> array";
  auto method = [&](auto& cls, const char* name, const char* doc, auto f) {
    cls.def(name, f, "value"_a, nb::sig(keep_text(function_signature(name, value_sig))), doc);
  };
  auto cls = nb::class_<ArrayAt>(m, "ArrayAt", R"(
Updates of elements that give a new array and count repeated indices each time.

Example:
  >>> mx.zeros(3).at[mx.array([0, 0, 2])].add(1)
  array([2, 0, 1], dtype=float32))");
  cls.def(
      "__getitem__",
      [](const ArrayAt& at, nb::object key) {
        return ArrayAt{at.a, std::move(key)};
      },
      "indices"_a.none(), nb::sig("def __getitem__(self, indices: object | None) -> ArrayAt"));
  method(cls, "add", "The array with ``value`` added at the indices.",
         [](const ArrayAt& at, nb::handle v) { return at.update(v, Mode::add); });
  method(cls, "subtract", "The array with ``value`` subtracted at the indices.",
         [](const ArrayAt& at, nb::handle v) {
           return write(at.a, at.keys(),
                        mx::negative(mx::astype(write_value(at.a, v), at.a.dtype())), Mode::add);
         });
  method(cls, "multiply", "The array multiplied by ``value`` at the indices.",
         [](const ArrayAt& at, nb::handle v) { return at.update(v, Mode::multiply); });
  method(cls, "divide",
         "The array divided by ``value`` at the indices; integers are divided once, towards zero.",
         [](const ArrayAt& at, nb::handle v) {
           mx::array value = write_value(at.a, v);
           if (mx::issubdtype(at.a.dtype(), mx::inexact)) {
             return write(at.a, at.keys(), mx::reciprocal(mx::astype(value, at.a.dtype())),
                          Mode::multiply);
           }
           auto keys = at.keys();
           return write(at.a, keys, mx::divide(read(at.a, keys), value), Mode::set);
         });
  method(cls, "maximum", "The array with the larger of its element and ``value`` at the indices.",
         [](const ArrayAt& at, nb::handle v) { return at.update(v, Mode::maximum); });
  method(cls, "minimum", "The array with the smaller of its element and ``value`` at the indices.",
         [](const ArrayAt& at, nb::handle v) { return at.update(v, Mode::minimum); });
  array_class().def_prop_ro(
      "at",
      [](const mx::array& a) {
        return ArrayAt{a, nb::object()};
      },
      nb::sig("def at(self) -> ArrayAt"),
      "Updates of elements that give a new array: see :class:`ArrayAt`.");
}
