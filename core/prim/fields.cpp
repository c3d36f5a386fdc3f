// core/prim/fields.cpp: the primitives by name.
#include "core/prim/fields.h"

#include <map>

namespace mlx::core {

namespace {
std::map<std::string, MakePrimitive>& makers() {
  static std::map<std::string, MakePrimitive> map;
  return map;
}
}  // namespace

bool register_primitive(const char* name, MakePrimitive make) {
  return makers().emplace(name, std::move(make)).second;
}

std::shared_ptr<Primitive> make_primitive(const std::string& name, Stream s, FieldReader& reader) {
  auto it = makers().find(name);
  if (it == makers().end() || !it->second)
    throw std::invalid_argument("there is no primitive named '" + name + "'");
  auto made = it->second(s, reader);
  if (!reader.done()) throw std::invalid_argument("a primitive has too many parameters");
  return made;
}

std::vector<std::pair<std::string, bool>> registered_primitives() {
  std::vector<std::pair<std::string, bool>> names;
  for (const auto& [name, make] : makers()) names.emplace_back(name, make != nullptr);
  return names;
}

}  // namespace mlx::core
