// core/prim/convolution.cpp: the convolution and its derivatives, which are convolutions again.
#include "core/prim/convolution.h"

#include <limits>
#include <optional>

#include "mlx/ops.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;

array conjugate_if_complex(const array& a, Stream s) {
  return a.dtype() == complex64 ? conjugate(a, s) : a;
}

/** x convolved with w, whatever their common dtype. */
array convolve_with(const array& x, const array& w, const ConvolutionGeometry& g, Stream s) {
  Shape shape = Convolution::conv_out_shape(x.shape(), w.shape(), g.stride, g.pad_lo, g.pad_hi,
                                            g.kernel_dilation, g.input_dilation);
  return array(std::move(shape), x.dtype(), std::make_shared<Convolution>(s, g), {x, w});
}

/** The gradient with respect to x, whose shape is `shape`, from the cotangent of the result. */
array input_gradient(const array& cotangent, const array& w, const Shape& shape,
                     const ConvolutionGeometry& g, Stream s) {
  const size_t spatial = g.stride.size();
  // Value j of x meets position i of the result at tap t where i stride = j input_dilation + pad_lo
  // - t kernel_dilation: strides and input dilations change places, and taps run the other way.
  ConvolutionGeometry back = g;
  back.stride = g.input_dilation;
  back.input_dilation = g.stride;
  back.flip = !g.flip;
  for (size_t d = 0; d < spatial; ++d) {
    const int64_t reach = int64_t(w.shape(int(d) + 1) - 1) * g.kernel_dilation[d];
    const int64_t lo = reach - g.pad_lo[d];
    const int64_t hi = int64_t(shape[d + 1] - 1) * g.input_dilation[d] + reach -
                       int64_t(cotangent.shape(int(d) + 1) - 1) * g.stride[d] - lo;
    back.pad_lo[d] = convolution_size(lo, "The padding of the gradient");
    back.pad_hi[d] = convolution_size(hi, "The padding of the gradient");
  }
  // [groups, O/groups, kernel, C/groups] with the channels changing places.
  Shape split{g.groups, w.shape(0) / g.groups};
  Shape merged{w.shape(-1) * g.groups};
  for (size_t d = 0; d < spatial; ++d) {
    split.push_back(w.shape(int(d) + 1));
    merged.push_back(w.shape(int(d) + 1));
  }
  split.push_back(w.shape(-1));
  merged.push_back(w.shape(0) / g.groups);
  array turned = swapaxes(reshape(w, split, s), 1, -1, s);
  return convolve_with(cotangent, conjugate_if_complex(reshape(turned, merged, s), s), back, s);
}

/** The gradient with respect to w. Half floats are summed, and given, in float32. */
array weight_gradient(const array& x, const array& cotangent, const ConvolutionGeometry& g,
                      const std::vector<int>& kernel, Stream s) {
  Dtype t = size_of(x.dtype()) < 4 ? Dtype(float32) : x.dtype();
  Shape shape{cotangent.shape(-1)};
  for (int k : kernel) shape.push_back(k);
  shape.push_back(x.shape(-1) / g.groups);
  return array(std::move(shape), t, std::make_shared<ConvolutionWeightGradient>(s, g, kernel),
               {conjugate_if_complex(astype(x, t, s), s), astype(cotangent, t, s)});
}

std::vector<int> kernel_of(const array& w) {
  return std::vector<int>(w.shape().begin() + 1, w.shape().end() - 1);
}

/** Batch axis `axis` (-1: repeated `batch` times) moved beside channel axis `channel`, in front. */
array into_channels(const array& a, int axis, int batch, int channel, Stream s) {
  array moved = a;
  if (axis < 0) {
    Shape shape = a.shape();
    shape.insert(shape.begin(), batch);
    moved = broadcast_to(expand_dims(a, 0, s), shape, s);
    axis = 0;
  }
  moved = moveaxis(moved, axis, channel, s);
  Shape shape = moved.shape();
  shape[channel] *= shape[channel + 1];
  shape.erase(shape.begin() + channel + 1);
  return reshape(moved, shape, s);
}

/** The other way: axis `channel` of size batch * n becomes the axes batch and n. */
array out_of_channels(const array& a, int batch, int channel, Stream s) {
  Shape shape;
  for (int d = 0; d < static_cast<int>(a.ndim()); ++d) {
    if (d == channel) shape.push_back(batch);
    shape.push_back(d == channel ? a.shape(d) / batch : a.shape(d));
  }
  return reshape(a, shape, s);
}

array sum_of(std::optional<array> total, const array& part, Stream s) {
  return total ? add(*total, part, s) : part;
}

}  // namespace

int convolution_size(int64_t value, const char* what) {
  if (value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max()) {
    throw std::invalid_argument(std::string("[conv] ") + what + " is " + std::to_string(value) +
                                ", which does not fit in 32 bits.");
  }
  return static_cast<int>(value);
}

// ---- Convolution ----

Shape Convolution::conv_out_shape(const Shape& in_shape, const Shape& wt_shape,
                                  const std::vector<int>& strides, const std::vector<int>& pads_lo,
                                  const std::vector<int>& pads_hi,
                                  const std::vector<int>& kernel_dilation,
                                  const std::vector<int>& input_dilation) {
  Shape out{in_shape.front()};
  for (size_t d = 0; d + 2 < in_shape.size(); ++d) {
    const int64_t n = in_shape[d + 1], k = wt_shape[d + 1];
    const int64_t spread = n > 0 ? 1 + (n - 1) * input_dilation[d] : 0;
    const int64_t length = spread + pads_lo[d] + pads_hi[d];
    const int64_t reach = 1 + (k - 1) * kernel_dilation[d];
    // Kernels and gradients take all three for ints, not the size of the result alone.
    for (int64_t size : {spread, length, reach}) {
      if (size > std::numeric_limits<int>::max()) {
        throw std::invalid_argument(
            "[conv] The dilated and padded input, or the dilated weight, is too large at axis " +
            std::to_string(d + 1) + " (" + std::to_string(size) + ") for input with shape " +
            to_string(in_shape) + " and weight of shape " + to_string(wt_shape) + ".");
      }
    }
    if (length < reach) {
      throw std::invalid_argument(
          "[conv] Spatial dimensions of input after padding cannot be smaller than weight spatial "
          "dimensions. Got error at axis " +
          std::to_string(d + 1) + " for input with shape " + to_string(in_shape) +
          ", padding low " + std::to_string(pads_lo[d]) + ", padding high " +
          std::to_string(pads_hi[d]) + " and weight of shape " + to_string(wt_shape) + ".");
    }
    const int64_t size = (length - reach) / strides[d] + 1;
    out.push_back(static_cast<ShapeElem>(size));
  }
  out.push_back(wt_shape.front());
  return out;
}

std::vector<Shape> Convolution::output_shapes(const Arrays& inputs) {
  const auto& g = geometry_;
  return {conv_out_shape(inputs[0].shape(), inputs[1].shape(), g.stride, g.pad_lo, g.pad_hi,
                         g.kernel_dilation, g.input_dilation)};
}

Arrays Convolution::vjp(const Arrays& primals, const Arrays& cotangents,
                        const std::vector<int>& argnums, const Arrays&) {
  const array &x = primals[0], &w = primals[1];
  Arrays result;
  for (int i : argnums) {
    if (i == 0) {
      result.push_back(input_gradient(cotangents[0], w, x.shape(), geometry_, stream()));
    } else {
      array d = weight_gradient(x, cotangents[0], geometry_, kernel_of(w), stream());
      result.push_back(astype(d, w.dtype(), stream()));
    }
  }
  return result;
}

Arrays Convolution::jvp(const Arrays& primals, const Arrays& tangents,
                        const std::vector<int>& argnums) {
  std::optional<array> total;
  for (size_t i = 0; i < argnums.size(); ++i) {
    array part = argnums[i] == 0 ? convolve_with(tangents[i], primals[1], geometry_, stream())
                                 : convolve_with(primals[0], tangents[i], geometry_, stream());
    total = sum_of(total, part, stream());
  }
  return {*total};
}

std::pair<Arrays, std::vector<int>> Convolution::vmap(const Arrays& inputs,
                                                      const std::vector<int>& axes) {
  Stream s = stream();
  if (axes[1] < 0) {
    // The same weight: more items of the batch.
    array x = into_channels(inputs[0], axes[0], 0, 0, s);
    const int batch = inputs[0].shape(axes[0]);
    if (batch == 0) {
      Shape item = inputs[0].shape();
      item.erase(item.begin() + axes[0]);
      Shape shape = output_shapes({zeros(item, x.dtype(), s), inputs[1]})[0];
      shape.insert(shape.begin(), 0);
      return {{zeros(shape, x.dtype(), s)}, {0}};
    }
    return {{out_of_channels(convolve_with(x, inputs[1], geometry_, s), batch, 0, s)}, {0}};
  }
  // Weights of their own: groups of their own.
  const int batch = inputs[1].shape(axes[1]);
  const int item_rank = static_cast<int>(inputs[1].ndim()) - 1;
  ConvolutionGeometry g = geometry_;
  array w = into_channels(inputs[1], axes[1], batch, 0, s);
  if (batch == 0) {
    Shape x_item = inputs[0].shape(), w_item = inputs[1].shape();
    if (axes[0] >= 0) x_item.erase(x_item.begin() + axes[0]);
    w_item.erase(w_item.begin() + axes[1]);
    Shape shape = conv_out_shape(x_item, w_item, g.stride, g.pad_lo, g.pad_hi, g.kernel_dilation,
                                 g.input_dilation);
    shape.insert(shape.begin(), 0);
    return {{zeros(shape, w.dtype(), s)}, {0}};
  }
  if (axes[0] < 0 && g.groups == 1) {
    return {{out_of_channels(convolve_with(inputs[0], w, g, s), batch, item_rank - 1, s)},
            {item_rank - 1}};
  }
  g.groups *= batch;
  array x = into_channels(inputs[0], axes[0], batch, item_rank - 1, s);
  return {{out_of_channels(convolve_with(x, w, g, s), batch, item_rank - 1, s)}, {item_rank - 1}};
}

// ---- ConvolutionWeightGradient ----

std::vector<Shape> ConvolutionWeightGradient::output_shapes(const Arrays& inputs) {
  Shape shape{inputs[1].shape(-1)};
  for (int k : kernel_) shape.push_back(k);
  shape.push_back(inputs[0].shape(-1) / geometry_.groups);
  return {shape};
}

Arrays ConvolutionWeightGradient::vjp(const Arrays& primals, const Arrays& cotangents,
                                      const std::vector<int>& argnums, const Arrays&) {
  // Linear in both inputs: <v, gradient(x, g)> = <g, conv(x, v)>.
  Stream s = stream();
  Arrays result;
  for (int i : argnums) {
    if (i == 0) {
      result.push_back(input_gradient(conjugate_if_complex(primals[1], s),
                                      conjugate_if_complex(cotangents[0], s), primals[0].shape(),
                                      geometry_, s));
    } else {
      result.push_back(
          convolve_with(conjugate_if_complex(primals[0], s), cotangents[0], geometry_, s));
    }
  }
  return result;
}

Arrays ConvolutionWeightGradient::jvp(const Arrays& primals, const Arrays& tangents,
                                      const std::vector<int>& argnums) {
  std::optional<array> total;
  for (size_t i = 0; i < argnums.size(); ++i) {
    Arrays in = primals;
    in[argnums[i]] = tangents[i];
    array part(output_shapes(in)[0], primals[0].dtype(),
               std::make_shared<ConvolutionWeightGradient>(stream(), geometry_, kernel_), in);
    total = sum_of(total, part, stream());
  }
  return {*total};
}

std::pair<Arrays, std::vector<int>> ConvolutionWeightGradient::vmap(const Arrays& inputs,
                                                                    const std::vector<int>& axes) {
  Stream s = stream();
  const int batch = axes[0] >= 0 ? inputs[0].shape(axes[0]) : inputs[1].shape(axes[1]);
  const int channel = static_cast<int>(kernel_.size()) + 1;
  if (batch == 0) {
    Arrays items;
    for (int i = 0; i < 2; ++i) {
      Shape item = inputs[i].shape();
      if (axes[i] >= 0) item.erase(item.begin() + axes[i]);
      items.push_back(zeros(item, inputs[i].dtype(), s));
    }
    Shape shape = output_shapes(items)[0];
    shape.insert(shape.begin(), 0);
    return {{zeros(shape, inputs[0].dtype(), s)}, {0}};
  }
  ConvolutionGeometry g = geometry_;
  g.groups *= batch;
  Arrays in{into_channels(inputs[0], axes[0], batch, channel, s),
            into_channels(inputs[1], axes[1], batch, channel, s)};
  auto prim = std::make_shared<ConvolutionWeightGradient>(s, g, kernel_);
  array d(prim->output_shapes(in)[0], in[0].dtype(), prim, in);
  return {{out_of_channels(d, batch, 0, s)}, {0}};
}

}  // namespace mlx::core
