// python/src/fast.cpp: mx.fast, the fused operations of neural networks.
#include "bind.h"
#include "define.h"

#if __has_include("mlx/fast.h")
#include "mlx/fast.h"

void bind_fast(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("fast", "Operations of neural networks in one pass each.");
  auto optional = [](nb::handle h) { return to_optional_array(h); };
  def_function(
      m, "rms_norm", "(x: array, weight: array | None, eps: float, *, " STREAM_SIG,
      "``x`` divided by its root mean square along the last axis, times ``weight``; sums in "
      "``float32``.",
      [=](const mx::array& x, nb::handle weight, float eps, mx::StreamOrDevice s) {
        return mx::fast::rms_norm(x, optional(weight), eps, s);
      },
      "x"_a, "weight"_a.none(), "eps"_a, STREAM_ONLY);
  def_function(
      m, "layer_norm",
      "(x: array, weight: array | None, bias: array | None, eps: float, *, " STREAM_SIG,
      "``x`` with mean 0 and variance 1 along the last axis, times ``weight``, plus ``bias``.",
      [=](const mx::array& x, nb::handle weight, nb::handle bias, float eps, mx::StreamOrDevice s) {
        return mx::fast::layer_norm(x, optional(weight), optional(bias), eps, s);
      },
      "x"_a, "weight"_a.none(), "bias"_a.none(), "eps"_a, STREAM_ONLY);
  def_function(
      m, "rope",
      "(a: array, dims: int, *, traditional: bool, base: float | None, scale: float, offset: int | "
      "array, freqs: array | None = None, " STREAM_SIG,
      R"(
Rotary positions: pairs of the first ``dims`` features turned by angles that grow with the position
(next to last axis), which starts at ``offset``. The pairs are neighbours if ``traditional``, else
halves. Angles come from ``base``, or from ``freqs``, exactly one of which must be given.)",
      [=](const mx::array& a, int dims, bool traditional, std::optional<float> base, float scale,
          nb::handle offset, nb::handle freqs, mx::StreamOrDevice s) {
        if (mx::array* o = array_ptr(offset)) {
          return mx::fast::rope(a, dims, traditional, base, scale, *o, optional(freqs), s);
        }
        return mx::fast::rope(a, dims, traditional, base, scale, to_int(offset, "rope"),
                              optional(freqs), s);
      },
      "a"_a, "dims"_a, nb::kw_only(), "traditional"_a, "base"_a.none(), "scale"_a, "offset"_a,
      "freqs"_a.none() = nb::none(), "stream"_a.none() = nb::none());
  def_function(
      m, "scaled_dot_product_attention",
      "(q: array, k: array, v: array, *, scale: float, mask: None | str | array = None, sinks: "
      "array | None = None, force_fused: bool = False, " STREAM_SIG,
      R"(
``softmax(scale * q @ k.T + mask) @ v`` for inputs of shape (batch, heads, length, features).

There may be fewer heads of ``k`` and ``v``: each serves as many heads of ``q``. ``mask`` is
``'causal'``, a boolean array (True: look) or a number array that is added. ``sinks`` is a logit a head
that takes part in the sum of the softmax only.)",
      [=](const mx::array& q, const mx::array& k, const mx::array& v, float scale, nb::handle mask,
          nb::handle sinks, bool force_fused, mx::StreamOrDevice s) {
        std::string mode;
        std::optional<mx::array> mask_array;
        if (nb::isinstance<nb::str>(mask)) {
          mode = nb::cast<std::string>(mask);
          if (mode != "causal") {
            throw std::invalid_argument("[scaled_dot_product_attention] invalid mask option '" +
                                        mode + "'. Must be 'causal', or an array.");
          }
        } else if (!mask.is_none()) {
          mask_array = to_array(mask);
          mode = "array";
        }
        return mx::fast::scaled_dot_product_attention(q, k, v, scale, mode, mask_array,
                                                      optional(sinks), force_fused, s);
      },
      "q"_a, "k"_a, "v"_a, nb::kw_only(), "scale"_a, "mask"_a.none() = nb::none(),
      "sinks"_a.none() = nb::none(), "force_fused"_a = false, "stream"_a.none() = nb::none());
  def_function(
      m, "cross_entropy", "(logits: array, targets: array, *, " STREAM_SIG, R"(
``logsumexp(logits, -1) - logits[..., target]`` for integer ``targets`` of the shape of ``logits``
without its last axis, computed in ``float32``.

The loss is ``float32`` (``float64`` for ``float64`` logits). Raises ``ValueError`` for shapes that
do not match and targets that are not integers, ``IndexError`` for a target out of range.

Example:
  >>> mx.fast.cross_entropy(mx.zeros((2, 4)), mx.array([0, 3]))
  array([1.38629, 1.38629], dtype=float32))",
      [](const mx::array& logits, const mx::array& targets, mx::StreamOrDevice s) {
        return mx::fast::cross_entropy(logits, targets, s);
      },
      "logits"_a, "targets"_a, STREAM_ONLY);
  def_function(
      m, "gated_delta_update",
      "(q: array, k: array, v: array, gamma: array, beta: array, initial_state: array | None = "
      "None, mask: array | None = None, stream: StreamOrDevice = None) -> list[array]",
      R"(
The gated delta rule of linear attention over a sequence: ``[output, last state]``.

At each time, the state of a head, a matrix (value size, key size), is multiplied with ``gamma``;
``beta * (v - state @ k)`` times ``k`` is added to it; the output is ``state @ q``. ``q`` and ``k``
are (batch, time, key heads, key size), ``v`` (batch, time, heads, value size), ``gamma`` and
``beta`` (batch, time, heads); ``gamma`` may have a value for each component of the key. ``heads`` is
a multiple of ``key heads``. Where ``mask`` (batch, time) is False, the output is 0 and the state
stays. States are ``float32`` (``float64`` for ``float64``), (batch, heads, value size, key size).

Example:
  >>> x = mx.ones((1, 3, 2, 4))
  >>> out, state = mx.fast.gated_delta_update(x, x, x, mx.ones((1, 3, 2)), mx.ones((1, 3, 2)))
  >>> out.shape, state.shape
  ((1, 3, 2, 4), (1, 2, 4, 4)))",
      [=](const mx::array& q, const mx::array& k, const mx::array& v, const mx::array& gamma,
          const mx::array& beta, nb::handle state, nb::handle mask, mx::StreamOrDevice s) {
        return mx::fast::gated_delta_update(q, k, v, gamma, beta, optional(state), optional(mask),
                                            s);
      },
      "q"_a, "k"_a, "v"_a, "gamma"_a, "beta"_a, "initial_state"_a.none() = nb::none(),
      "mask"_a.none() = nb::none(), "stream"_a.none() = nb::none());
  bind_custom_kernels(m);
}
#else
void bind_fast(nb::module_&) {}
#endif
