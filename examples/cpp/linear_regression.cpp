// examples/cpp/linear_regression.cpp: linear regression by gradient descent, as in
// examples/linear_regression.py: the same seed, the same numbers. A hidden vector w_star makes the
// data; starting from nothing, the program finds it again.
#include <chrono>
#include <cstdio>

#include "mlx/mlx.h"

namespace mx = mlx::core;

int main() {
  constexpr int kFeatures = 100, kExamples = 1000, kSteps = 500;
  constexpr float kLearningRate = 0.05f;

  mx::random::seed(0);
  mx::array w_star = mx::random::normal({kFeatures});
  mx::array x = mx::random::normal({kExamples, kFeatures});
  mx::array y = mx::matmul(x, w_star) + 0.01f * mx::random::normal({kExamples});

  auto loss = [&](const mx::array& w) { return 0.5f * mx::mean(mx::square(mx::matmul(x, w) - y)); };
  // A transformation turns the loss into a function that also returns its gradient.
  auto loss_and_grad = mx::value_and_grad(std::function<mx::array(const mx::array&)>(loss));

  mx::array w = mx::zeros({kFeatures});
  auto start = std::chrono::steady_clock::now();
  for (int step = 1; step <= kSteps; ++step) {
    auto [value, gradient] = loss_and_grad(w);
    w = w - kLearningRate * gradient;
    mx::eval(w);  // nothing has been computed until here
    if (step % 100 == 0) std::printf("step %d: loss %.6f\n", step, value.item<float>());
  }
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;

  mx::array error = mx::sqrt(mx::sum(mx::square(w - w_star)));
  std::printf("error %.5f, %.0f steps a second\n", error.item<float>(), kSteps / seconds.count());
  return 0;
}
