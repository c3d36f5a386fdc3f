// core/transform/stored_function.cpp
#include "core/transform/stored_function.h"

#include <cmath>
#include <optional>

#include "core/transform/rebuild.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {
/** The place behind the sizes equal to sizes[i] that stand in a row from there. */
size_t end_of_run(const std::vector<int>& sizes, size_t i) {
  size_t end = i + 1;
  while (end < sizes.size() && sizes[end] == sizes[i]) ++end;
  return end;
}
}  // namespace

int64_t SizeRule::at(const std::vector<int64_t>& change) const {
  __int128 total = base;
  for (const auto& term : terms) {
    __int128 product = term.coefficient;
    for (size_t i = 0; i < term.sizes.size();) {
      size_t end = end_of_run(term.sizes, i);
      __int128 binomial = 1, c = change.at(term.sizes[i]);
      for (size_t r = 1; i < end; ++i, ++r) {
        binomial = binomial * (c - static_cast<__int128>(r - 1)) / static_cast<__int128>(r);
        if (binomial > INT64_MAX || binomial < INT64_MIN)
          throw std::invalid_argument("[import_function] A size is too large.");
      }
      product *= binomial;
      if (product > INT64_MAX || product < INT64_MIN)
        throw std::invalid_argument("[import_function] A size is too large.");
    }
    total += product;
  }
  if (total > INT64_MAX || total < INT64_MIN)
    throw std::invalid_argument("[import_function] A size is too large.");
  return static_cast<int64_t>(total);
}

double RealRule::at(const std::vector<int64_t>& change) const {
  if (power == fixed) return value;
  double total = base;
  for (const auto& term : terms) {
    double product = term.coefficient;
    for (size_t i = 0; i < term.sizes.size();) {
      size_t end = end_of_run(term.sizes, i);
      double c = static_cast<double>(change.at(term.sizes[i]));
      for (size_t r = 1; i < end; ++i, ++r)
        product *= (c - static_cast<double>(r - 1)) / static_cast<double>(r);
    }
    total += product;
  }
  switch (power) {
    case inverse:
      return 1 / total;
    case root:
      return std::sqrt(total);
    case inverse_root:
      return 1 / std::sqrt(total);
    default:
      return total;
  }
}

bool StoredFunction::match(const std::vector<array>& given, std::vector<int64_t>& change) const {
  if (given.size() != inputs.size()) return false;
  std::vector<std::optional<int64_t>> found(sizes.size());
  for (size_t i = 0; i < given.size(); ++i) {
    const auto& want = inputs[i];
    if (given[i].dtype() != want.dtype || given[i].ndim() != want.shape.size()) return false;
    for (size_t k = 0; k < want.shape.size(); ++k) {
      int64_t d = given[i].shape()[k];
      const SizeRule& rule = want.shape[k];
      if (rule.fixed()) {
        if (d != rule.base) return false;
        continue;
      }
      const auto& term = rule.terms[0];
      if ((d - rule.base) % term.coefficient != 0) return false;
      int64_t steps = (d - rule.base) / term.coefficient;
      auto& known = found.at(term.sizes.at(0));
      if (known && *known != steps) return false;
      known = steps;
    }
  }
  change.resize(sizes.size());
  for (size_t s = 0; s < sizes.size(); ++s) change[s] = found[s].value_or(0);
  return true;
}

Traced StoredFunction::make(const std::vector<array>& given, const std::vector<int64_t>& change,
                            const std::vector<array>& tensors) const {
  Stream stream = default_stream(default_device());
  std::vector<array> values;
  for (const auto& c : constants) {
    values.push_back(c.tensor >= 0 ? tensors.at(c.tensor) : array(c.number.at(change), c.dtype));
  }
  Rebuilder out(given, std::move(values));
  int n = static_cast<int>(given.size() + constants.size());
  std::vector<int> at;
  for (int v = 0; v < n; ++v) at.push_back(v);
  for (const auto& node : nodes) {
    FieldLeaves leaves;
    for (const auto& leaf : node.leaves) {
      if (auto* i = std::get_if<SizeRule>(&leaf)) {
        leaves.emplace_back(i->at(change));
      } else if (auto* r = std::get_if<RealRule>(&leaf)) {
        leaves.emplace_back(r->at(change));
      } else {
        leaves.emplace_back(std::get<std::string>(leaf));
      }
    }
    std::vector<int> args;
    for (int v : node.args) args.push_back(at.at(v));
    FieldReader reader(leaves);
    int first = out.add(make_primitive(node.name, stream, reader), std::move(args), node.dtypes);
    for (size_t k = 0; k < node.dtypes.size(); ++k) at.push_back(first + static_cast<int>(k));
  }
  std::vector<int> results;
  for (int v : outputs) results.push_back(at.at(v));
  return out.finish(std::move(results));
}

}  // namespace mlx::core
