// python/src/trees.h: trees of dicts, lists and tuples with arrays at the leaves.
#pragma once

#include <functional>
#include <vector>

#include "convert.h"

/** Calls f on every leaf, in order: dicts by their order of insertion. */
void tree_visit(nb::handle tree, const std::function<void(nb::handle)>& f);

/** A tree of the same form with f(leaf) at the leaves. */
nb::object tree_map(nb::handle tree, const std::function<nb::object(nb::handle)>& f);

/**
 * Calls f on every leaf with the part of prefix that stands for it: prefix has the form of the tree
 * or stops earlier with a value for all that lies below.
 */
void tree_visit_prefix(nb::handle tree, nb::handle prefix, const char* op,
                       const std::function<void(nb::handle, nb::handle)>& f);

/** The arrays at the leaves. Other leaves are an error if strict, else left out. */
std::vector<mx::array> tree_flatten(nb::handle tree, bool strict = true);

/** The tree with the arrays at its leaves replaced by values[first], values[first + 1], ... */
nb::object tree_unflatten(nb::handle tree, const std::vector<mx::array>& values, size_t first = 0);

/** Puts values into the very containers of tree, whose form is that of structure (or is given it).
 */
void tree_assign(nb::handle tree, nb::handle structure, const std::vector<mx::array>& values,
                 size_t first);

/**
 * A text that two trees share exactly if they have the same form, the same constants, and arrays of
 * the same dtype and shape (rank only, if shapeless) at the leaves. Objects that are neither are
 * told apart by identity and appended to keep, so that an identity is not used twice.
 */
void tree_key(nb::handle tree, bool shapeless, std::string& key, nb::list& keep);
