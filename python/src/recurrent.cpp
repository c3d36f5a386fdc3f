// python/src/recurrent.cpp: what mlx.nn's recurrent layers are made of; not a public name.
#include "core/prim/recurrent.h"

#include "bind.h"
#include "convert.h"

void bind_recurrent(nb::module_& m) {
  m.def(
      "_recurrent",
      [](const std::string& kind, const mx::array& x, const mx::array& w, nb::handle hidden,
         nb::handle cell, nb::handle bias) {
        using Kind = mx::RecurrentKind;
        Kind k = kind == "tanh"   ? Kind::tanh
                 : kind == "relu" ? Kind::relu
                 : kind == "gru"  ? Kind::gru
                                  : Kind::lstm;
        auto outputs = mx::recurrent(k, x, w, to_optional_array(hidden), to_optional_array(cell),
                                     to_optional_array(bias));
        nb::list list;
        for (auto& out : outputs) list.append(nb::steal(wrap_array(std::move(out))));
        return list;
      },
      "kind"_a, "x"_a, "w"_a, "hidden"_a.none(), "cell"_a.none() = nb::none(),
      "bias"_a.none() = nb::none(),
      "The states (and cells) of all steps of a recurrence: 'tanh', 'relu', 'gru' or 'lstm'.");
}
