// core/transform/stored_function.cpp
#include "core/transform/stored_function.h"

#include <cmath>

#include "core/transform/rebuild.h"
#include "mlx/utils.h"

namespace mlx::core {

int64_t SizeRule::at(const std::vector<int64_t>& change) const {
  __int128 total = base;
  for (const auto& term : terms) {
    __int128 product = term.coefficient;
    for (int s : term.sizes) {
      product *= change.at(s);
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
    for (int s : term.sizes) product *= static_cast<double>(change.at(s));
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
  std::vector<int64_t> found(sizes.size(), -1);
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
      int64_t& size = found.at(rule.terms[0].sizes.at(0));
      if (size >= 0 && size != d) return false;
      size = d;
    }
  }
  change.resize(sizes.size());
  for (size_t s = 0; s < sizes.size(); ++s) change[s] = found[s] < 0 ? 0 : found[s] - sizes[s];
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
