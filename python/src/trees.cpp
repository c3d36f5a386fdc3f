// python/src/trees.cpp: walks over trees of Python containers.
#include "trees.h"

#include "random_state.h"

namespace {

bool is_named_tuple(nb::handle t) {
  return !PyTuple_CheckExact(t.ptr()) && nb::hasattr(t, "_fields");
}

nb::object make_tuple_like(nb::handle like, nb::tuple items) {
  if (!is_named_tuple(like)) return items;
  return nb::borrow(nb::handle(reinterpret_cast<PyObject*>(Py_TYPE(like.ptr()))))
      .attr("_make")(items);
}

bool is_container(nb::handle h) {
  return PyDict_Check(h.ptr()) || PyList_Check(h.ptr()) || PyTuple_Check(h.ptr()) ||
         is_random_state(h);
}

void key_number(std::string& key, int64_t n) {
  key += std::to_string(n);
  key += ',';
}

}  // namespace

void tree_visit(nb::handle tree, const std::function<void(nb::handle)>& f) {
  if (PyDict_Check(tree.ptr())) {
    for (auto [k, v] : nb::borrow<nb::dict>(tree)) tree_visit(v, f);
  } else if (PyList_Check(tree.ptr())) {
    // By position: f may run Python code that changes the list.
    for (Py_ssize_t i = 0; i < PyList_Size(tree.ptr()); ++i)
      tree_visit(nb::borrow(PyList_GetItem(tree.ptr(), i)), f);
  } else if (PyTuple_Check(tree.ptr())) {
    for (nb::handle v : nb::borrow<nb::tuple>(tree)) tree_visit(v, f);
  } else if (is_random_state(tree)) {
    tree_visit(random_state_list(), f);
  } else {
    f(tree);
  }
}

nb::object tree_map(nb::handle tree, const std::function<nb::object(nb::handle)>& f) {
  if (PyDict_Check(tree.ptr())) {
    nb::dict out;
    for (auto [k, v] : nb::borrow<nb::dict>(tree)) out[k] = tree_map(v, f);
    return out;
  }
  if (PyList_Check(tree.ptr())) {
    nb::list out;
    for (nb::handle v : nb::borrow<nb::list>(tree)) out.append(tree_map(v, f));
    return out;
  }
  if (PyTuple_Check(tree.ptr())) {
    nb::list items;
    for (nb::handle v : nb::borrow<nb::tuple>(tree)) items.append(tree_map(v, f));
    return make_tuple_like(tree, nb::tuple(items));
  }
  return f(tree);
}

void tree_visit_prefix(nb::handle tree, nb::handle prefix, const char* op,
                       const std::function<void(nb::handle, nb::handle)>& f) {
  auto mismatch = [&]() {
    throw std::invalid_argument(
        "[" + std::string(op) +
        "] A tree of axes must have the form of the tree of arrays, or stop earlier.");
  };
  if (PyDict_Check(tree.ptr())) {
    for (auto [k, v] : nb::borrow<nb::dict>(tree)) {
      if (!PyDict_Check(prefix.ptr())) {
        if (is_container(prefix)) mismatch();
        tree_visit_prefix(v, prefix, op, f);
        continue;
      }
      PyObject* p = PyDict_GetItem(prefix.ptr(), k.ptr());
      if (!p) mismatch();
      tree_visit_prefix(v, p, op, f);
    }
  } else if (PyList_Check(tree.ptr()) || PyTuple_Check(tree.ptr())) {
    bool split = PyList_Check(prefix.ptr()) || PyTuple_Check(prefix.ptr());
    if (PyDict_Check(prefix.ptr())) mismatch();
    size_t n = nb::len(tree);
    if (split && nb::len(prefix) != n) mismatch();
    for (size_t i = 0; i < n; ++i) {
      tree_visit_prefix(tree[i], split ? nb::object(prefix[i]) : nb::borrow(prefix), op, f);
    }
  } else {
    if (is_container(prefix)) mismatch();
    f(tree, prefix);
  }
}

std::vector<mx::array> tree_flatten(nb::handle tree, bool strict) {
  std::vector<mx::array> out;
  tree_visit(tree, [&](nb::handle leaf) {
    if (mx::array* a = array_ptr(leaf)) {
      out.push_back(*a);
    } else if (strict) {
      throw std::invalid_argument(
          "[tree_flatten] The argument should contain only arrays, but it holds a " +
          py_type_name(leaf) + ".");
    }
  });
  return out;
}

nb::object tree_unflatten(nb::handle tree, const std::vector<mx::array>& values, size_t first) {
  return tree_map(tree, [&](nb::handle leaf) -> nb::object {
    if (!array_ptr(leaf)) return nb::borrow(leaf);
    if (first >= values.size())
      throw std::runtime_error("[tree_unflatten] There are more leaves than arrays.");
    return nb::steal(wrap_array(values[first++]));
  });
}

namespace {

// One child: a leaf is stored with set, a container walked on or, if absent, made.
void assign_child(nb::handle child, nb::handle structure, const std::vector<mx::array>& values,
                  size_t& next, const std::function<void(nb::object)>& set);

void assign(nb::handle tree, nb::handle structure, const std::vector<mx::array>& values,
            size_t& next) {
  if (PyDict_Check(structure.ptr())) {
    nb::dict target = nb::borrow<nb::dict>(tree);
    for (auto [k, s] : nb::borrow<nb::dict>(structure)) {
      PyObject* child = PyDict_GetItem(target.ptr(), k.ptr());
      assign_child(child, s, values, next, [&, key = k](nb::object v) { target[key] = v; });
    }
  } else {
    bool list = PyList_Check(structure.ptr());
    for (size_t i = 0; i < nb::len(structure); ++i) {
      nb::object child = i < nb::len(tree) ? nb::object(tree[i]) : nb::object();
      assign_child(child, structure[i], values, next, [&](nb::object v) {
        if (!list) {
          // A tuple keeps its items: the array itself takes the value.
          if (mx::array* a = child.is_valid() ? array_ptr(child) : nullptr)
            a->overwrite_descriptor(*array_ptr(v));
        } else if (i < nb::len(tree)) {
          nb::borrow<nb::list>(tree)[i] = v;
        } else {
          nb::borrow<nb::list>(tree).append(v);
        }
      });
    }
  }
}

void assign_child(nb::handle child, nb::handle structure, const std::vector<mx::array>& values,
                  size_t& next, const std::function<void(nb::object)>& set) {
  if (is_random_state(structure)) {
    set_random_key(values.at(next++));
  } else if (!is_container(structure)) {
    if (array_ptr(structure)) set(nb::steal(wrap_array(values.at(next++))));
  } else if (child.is_valid() && is_container(child) &&
             PyDict_Check(child.ptr()) == PyDict_Check(structure.ptr())) {
    assign(child, structure, values, next);
  } else {
    nb::object made = tree_map(structure, [&](nb::handle leaf) -> nb::object {
      return array_ptr(leaf) ? nb::steal(wrap_array(values.at(next++))) : nb::borrow(leaf);
    });
    set(made);
  }
}

}  // namespace

void tree_assign(nb::handle tree, nb::handle structure, const std::vector<mx::array>& values,
                 size_t first) {
  size_t next = first;
  if (is_random_state(structure)) {
    set_random_key(values.at(next));
  } else if (mx::array* a = array_ptr(tree)) {
    a->overwrite_descriptor(values.at(next));
  } else if (is_container(structure)) {
    assign(tree, structure, values, next);
  }
}

void tree_key(nb::handle tree, bool shapeless, std::string& key, nb::list& keep) {
  PyObject* o = tree.ptr();
  if (mx::array* a = array_ptr(o)) {
    key += 'A';
    key += static_cast<char>('a' + static_cast<int>(a->dtype().val()));
    if (shapeless) return key_number(key, static_cast<int64_t>(a->ndim()));
    for (int d : a->shape()) key_number(key, d);
    key += ';';
  } else if (PyDict_Check(o)) {
    key += '{';
    for (auto [k, v] : nb::borrow<nb::dict>(tree)) {
      tree_key(k, shapeless, key, keep);
      key += ':';
      tree_key(v, shapeless, key, keep);
    }
    key += '}';
  } else if (PyList_Check(o) || PyTuple_Check(o)) {
    key += PyList_Check(o) ? '[' : '(';
    key_number(key, static_cast<int64_t>(nb::len(tree)));
    for (size_t i = 0; i < nb::len(tree); ++i) tree_key(tree[i], shapeless, key, keep);
  } else if (is_random_state(tree)) {
    key += 'R';
  } else if (PyUnicode_Check(o)) {
    nb::str s = nb::borrow<nb::str>(tree);
    key += 's';
    key_number(key, static_cast<int64_t>(std::strlen(s.c_str())));
    key += s.c_str();
  } else if (o == Py_None || PyBool_Check(o) || PyLong_CheckExact(o) || PyFloat_CheckExact(o) ||
             PyComplex_CheckExact(o)) {
    key += o == Py_None       ? 'N'
           : PyBool_Check(o)  ? 'b'
           : PyLong_Check(o)  ? 'i'
           : PyFloat_Check(o) ? 'f'
                              : 'c';
    key += nb::repr(tree).c_str();
    key += ';';
  } else {
    key += '@';
    key_number(key, reinterpret_cast<intptr_t>(o));
    keep.append(tree);
  }
}
