// python/src/gc_function.h: the callables that transformations return.
#pragma once

#include <functional>

#include "convert.h"

/**
 * A callable over Python objects that the garbage collector can see: refs[0] is the function it was
 * made from, whose attributes (name, doc) it shows. body must keep no Python objects of its own.
 */
struct GcFunction {
  using Body = std::function<nb::object(GcFunction&, nb::args, nb::kwargs)>;
  std::vector<nb::object> refs;
  Body body;

  nb::handle fun() const { return refs[0]; }
};

void bind_gc_function(nb::module_& m);

/** The result of fun as arrays: an array, or a list or tuple of arrays. */
std::vector<mx::array> arrays_returned(nb::handle result, const char* op);
