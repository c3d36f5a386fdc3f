// python/src/define.h: defines functions whose signature is written once, and methods of array that
// share it. Signatures are those of the type stubs: "(a: array, /, *, stream: ... = None) ->
// array".
#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "convert.h"

/** Text that nanobind may keep a pointer to. */
const char* keep_text(std::string text);

inline std::string function_signature(const char* name, const char* sig) {
  return std::string("def ") + name + sig;
}

/** doc, and the example of examples.inc for that function of m if there is one. */
const char* with_example(nb::handle m, const char* name, const char* doc);

/** The signature of a method, from that of a function whose first parameter is the array. */
std::string method_signature(const char* name, const char* sig);

inline nb::class_<mx::array> array_class() {
  return nb::borrow<nb::class_<mx::array>>(nb::handle(reinterpret_cast<PyObject*>(array_type)));
}

template <typename F, typename... Extra>
void def_function(nb::module_& m, const char* name, const char* sig, const char* doc, F&& f,
                  const Extra&... extra) {
  m.def(name, std::forward<F>(f), nb::sig(keep_text(function_signature(name, sig))),
        with_example(m, name, doc), extra...);
}

/** A function of the module whose first parameter is an array, and the method of the same name. */
template <typename F, typename... Extra>
void def_both(nb::module_& m, const char* name, const char* sig, const char* doc, F&& f,
              const Extra&... extra) {
  def_function(m, name, sig, doc, f, nb::arg(), extra...);
  array_class().def(name, f, nb::sig(keep_text(method_signature(name, sig))),
                    keep_text(std::string("See :func:`") + name + "`."), extra...);
}

/** The keyword arguments that end nearly every signature. */
#define STREAM_ONLY nb::kw_only(), "stream"_a.none() = nb::none()
#define STREAM_SIG "stream: StreamOrDevice = None) -> array"
