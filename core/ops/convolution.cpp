// core/ops/convolution.cpp: the ways to ask for a convolution.
#include <algorithm>

#include "core/prim/convolution.h"
#include "mlx/ops.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

/** As many numbers as spatial axes; one, or none, stands for all. */
std::vector<int> for_axes(std::vector<int> values, int unset, size_t spatial, const char* what) {
  if (values.empty()) values = {unset};
  if (values.size() == 1) values.assign(spatial, values[0]);
  if (values.size() != spatial) {
    throw std::invalid_argument("[conv] " + std::to_string(values.size()) + " values of " + what +
                                " for a " + std::to_string(spatial) + "D convolution.");
  }
  return values;
}

void check_positive(const std::vector<int>& values, const char* what) {
  if (std::any_of(values.begin(), values.end(), [](int v) { return v <= 0; })) {
    throw std::invalid_argument(std::string("[conv] ") + what + " must be positive.");
  }
}

void check(const array& x, const array& w, int groups) {
  const std::string shapes =
      "input: " + to_string(x.shape()) + " and weight: " + to_string(w.shape());
  for (const array& a : {x, w}) {
    if (!issubdtype(a.dtype(), inexact)) {
      throw std::invalid_argument(
          std::string("[conv] Invalid array of type ") + dtype_to_string(a.dtype()) +
          ": only floating point types can be convolved. Got " + shapes + ".");
    }
  }
  if (x.ndim() < 3 || x.ndim() > 5) {
    throw std::invalid_argument(
        "[conv] Only works for inputs with 1-3 spatial dimensions, in the format [N, ..., C_in]. "
        "Got " +
        shapes + ".");
  }
  if (w.ndim() != x.ndim()) {
    throw std::invalid_argument(
        "[conv] The weight must have as many dimensions as the input, in "
        "the format [C_out, ..., C_in]. Got " +
        shapes + ".");
  }
  if (groups <= 0) throw std::invalid_argument("[conv] groups must be positive.");
  if (w.shape(0) % groups != 0) {
    throw std::invalid_argument(
        "[conv] The output channels must be divisible by the number of groups, " +
        std::to_string(groups) + ". Got " + shapes + ".");
  }
  if (int64_t(w.shape(-1)) * groups != x.shape(-1)) {
    throw std::invalid_argument(
        "[conv] Expect the input channels in the input and weight array to match (with " +
        std::to_string(groups) + " groups) but got shapes - " + shapes + ".");
  }
  for (int d = 1; d + 1 < static_cast<int>(w.ndim()); ++d) {
    if (w.shape(d) == 0) {
      throw std::invalid_argument("[conv] The weight has no taps. Got " + shapes + ".");
    }
  }
}

array transposed(const array& x, const array& w, const std::vector<int>& stride,
                 const std::vector<int>& padding, const std::vector<int>& dilation,
                 const std::vector<int>& output_padding, int groups, StreamOrDevice s) {
  check(x, w, groups);
  check_positive(stride, "Stride sizes");
  check_positive(dilation, "Kernel dilation sizes");
  if (x.ndim() != stride.size() + 2) {
    throw std::invalid_argument("[conv_transpose] A " + std::to_string(stride.size()) +
                                "D convolution can't take an input of shape " +
                                to_string(x.shape()) + ".");
  }
  std::vector<int> lo, hi;
  for (size_t d = 0; d < stride.size(); ++d) {
    const int64_t pad = int64_t(w.shape(int(d) + 1) - 1) * dilation[d] - padding[d];
    lo.push_back(convolution_size(pad, "The padding of a transposed convolution"));
    hi.push_back(
        convolution_size(pad + output_padding[d], "The padding of a transposed convolution"));
  }
  return conv_general(x, w, std::vector<int>(stride.size(), 1), lo, hi, dilation, stride, groups,
                      true, s);
}

array forward(const array& x, const array& w, const std::vector<int>& stride,
              const std::vector<int>& padding, const std::vector<int>& dilation, int groups,
              StreamOrDevice s) {
  if (x.ndim() != stride.size() + 2) {
    throw std::invalid_argument("[conv] Invalid input of shape " + to_string(x.shape()) +
                                " for a " + std::to_string(stride.size()) +
                                "D convolution: " + std::to_string(stride.size() + 2) +
                                " dimensions in the format [N, ..., C_in] are needed.");
  }
  return conv_general(x, w, stride, padding, padding, dilation, {}, groups, false, s);
}

std::vector<int> list(const std::pair<int, int>& p) { return {p.first, p.second}; }
std::vector<int> list(const std::tuple<int, int, int>& t) {
  return {std::get<0>(t), std::get<1>(t), std::get<2>(t)};
}

}  // namespace

array conv_general(array input, array weight, std::vector<int> stride, std::vector<int> padding_lo,
                   std::vector<int> padding_hi, std::vector<int> kernel_dilation,
                   std::vector<int> input_dilation, int groups, bool flip, StreamOrDevice s) {
  check(input, weight, groups);
  const size_t spatial = input.ndim() - 2;
  ConvolutionGeometry g;
  g.stride = for_axes(std::move(stride), 1, spatial, "stride");
  g.pad_lo = for_axes(std::move(padding_lo), 0, spatial, "padding");
  g.pad_hi = for_axes(std::move(padding_hi), 0, spatial, "padding");
  g.kernel_dilation = for_axes(std::move(kernel_dilation), 1, spatial, "kernel dilation");
  g.input_dilation = for_axes(std::move(input_dilation), 1, spatial, "input dilation");
  g.groups = groups;
  g.flip = flip;
  check_positive(g.stride, "Stride sizes");
  check_positive(g.kernel_dilation, "Kernel dilation sizes");
  check_positive(g.input_dilation, "Input dilation sizes");
  Stream stream = to_stream(s);
  Dtype t = result_type(input, weight);
  Shape shape = Convolution::conv_out_shape(input.shape(), weight.shape(), g.stride, g.pad_lo,
                                            g.pad_hi, g.kernel_dilation, g.input_dilation);
  return array(std::move(shape), t, std::make_shared<Convolution>(stream, std::move(g)),
               {astype(input, t, stream), astype(weight, t, stream)});
}

array conv1d(const array& input, const array& weight, int stride, int padding, int dilation,
             int groups, StreamOrDevice s) {
  return forward(input, weight, {stride}, {padding}, {dilation}, groups, s);
}

array conv2d(const array& input, const array& weight, const std::pair<int, int>& stride,
             const std::pair<int, int>& padding, const std::pair<int, int>& dilation, int groups,
             StreamOrDevice s) {
  return forward(input, weight, list(stride), list(padding), list(dilation), groups, s);
}

array conv3d(const array& input, const array& weight, const std::tuple<int, int, int>& stride,
             const std::tuple<int, int, int>& padding, const std::tuple<int, int, int>& dilation,
             int groups, StreamOrDevice s) {
  return forward(input, weight, list(stride), list(padding), list(dilation), groups, s);
}

array conv_transpose1d(const array& input, const array& weight, int stride, int padding,
                       int dilation, int output_padding, int groups, StreamOrDevice s) {
  return transposed(input, weight, {stride}, {padding}, {dilation}, {output_padding}, groups, s);
}

array conv_transpose2d(const array& input, const array& weight, const std::pair<int, int>& stride,
                       const std::pair<int, int>& padding, const std::pair<int, int>& dilation,
                       const std::pair<int, int>& output_padding, int groups, StreamOrDevice s) {
  return transposed(input, weight, list(stride), list(padding), list(dilation),
                    list(output_padding), groups, s);
}

array conv_transpose3d(const array& input, const array& weight,
                       const std::tuple<int, int, int>& stride,
                       const std::tuple<int, int, int>& padding,
                       const std::tuple<int, int, int>& dilation,
                       const std::tuple<int, int, int>& output_padding, int groups,
                       StreamOrDevice s) {
  return transposed(input, weight, list(stride), list(padding), list(dilation),
                    list(output_padding), groups, s);
}

}  // namespace mlx::core
