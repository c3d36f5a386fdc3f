"""Every declaration of MLX's C++ API is here, under the same header and name, for the same types
(cpp_api.json: names and signatures, which are facts about the API). Templates are not in the list:
tests/cpp/program uses them."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
API = json.loads(Path(__file__).with_name("cpp_api.json").read_text())

# What is not here, as docs/cpp.md says. A line goes when its name comes.
NOT_HERE = {
    "mlx::core::cu::CommandEncoder",
    *(f"mlx::core::{name}" for name in (
        "BroadcastAxes", "Compiled", "Copy", "CustomTransforms", "DivMod", "ExpandDims", "FFT",
        "Flatten", "Full", "GatherQQMM", "Load", "QQMatmul", "Squeeze", "Unflatten",
    )),
    "mlx::core::BlockMaskedMM::BlockMaskedMM",
    "mlx::core::Pad::Pad",
    *(f"mlx::core::fast::{name}" for name in (
        "ConvertFP8", "CrossEntropyVJP", "CustomKernel", "GatedDeltaUpdate", "GatedDeltaUpdateVJP",
        "LayerNormVJP", "Quantize", "RMSNormVJP", "ScaledDotProductAttention",
        "ScaledDotProductAttentionVJP",
    )),
}  # fmt: skip
# Theirs are references to lists that a node holds; here a node makes the list.
BY_VALUE = {"mlx::core::array::siblings"}


def with_fewest(types, required):
    return ", ".join(f"std::declval<{one}>()" for one in types[:required])


def code(scope, kind, *facts):
    """C++ that compiles where the declaration is there."""
    name = facts[0]
    in_class = namespace(scope) != scope
    head = f"using C = ::{scope};" if in_class else ""
    full = f"::{scope}::{name}"
    if kind == "type":
        return f"{head} using X = {full};"
    if kind == "enum":
        values = (f"static_assert(int({full}::{v}) == {i});" for i, v in enumerate(facts[1]))
        return f"{head} {' '.join(values)}"
    if kind == "value":
        where = f"std::declval<C&>().{name}" if in_class else full
        return f"{head} using X = decltype({where});"
    if kind == "constructor":
        types, required = facts
        every = ", ".join(["C", *types])
        few = ", ".join(["C", *types[:required]])
        test = "static_assert(std::is_abstract_v<C> || std::is_constructible_v<{}>);"
        return f"{head} {test.format(every)} {test.format(few)}"
    if kind == "conversion":
        return f"{head} static_assert(std::is_constructible_v<{name}, const C&>);"
    result, types, required = facts[1:4]
    if kind == "function":
        every = f"[[maybe_unused]] {result} (*x)({', '.join(types)}) = &{full};"
        return f"{head} {every}" + call(full, types, required)
    if kind == "static":
        return f"{head} [[maybe_unused]] {result} (*x)({', '.join(types)}) = &C::{name};"
    if result == "auto":
        return f"{head} using X = decltype(std::declval<C&>().{name}({with_fewest(types, 99)}));"
    if name == "state":  # by value or by reference
        return f"{head} inline {result} x(const C& c) {{ return c.state(); }}"
    qualifier = facts[4].replace("const", " const ")
    return f"{head} [[maybe_unused]] {result} (C::*x)({', '.join(types)}){qualifier} = &C::{name};"


# With its defaults alone a call of these is ambiguous between two overloads, theirs as well.
AMBIGUOUS = {"conv_general"}


def call(full, types, required):
    if required == len(types) or full.split("::")[-1] in AMBIGUOUS or "operator" in full:
        return ""
    return f" using Y = decltype({full}({with_fewest(types, required)}));"


CLASSES = {"array", "complex64_t", "complex128_t", "finfo", "iinfo"}


def namespace(scope):
    """The part of it that is no class."""
    return "::".join(s for s in scope.split("::") if s[0].islower() and s not in CLASSES)


def is_here(scope, kind, facts):
    if scope in NOT_HERE:
        return False
    own = scope.split("::")[-1] if kind == "constructor" else facts[0]
    return f"{scope}::{own}" not in NOT_HERE | BY_VALUE


def test_every_declaration_compiles(tmp_path):
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no compiler")
    lines = [f'#include "{header}"' for header in API]
    lines += ["#include <type_traits>", "#include <utility>", "#include <vector>"]
    of_line = {}
    for header, rows in API.items():
        for scope, kind, *facts in rows:
            if not is_here(scope, kind, facts):
                continue
            space = f"namespace {namespace(scope)}::check{len(lines)}"
            lines.append(f"{space} {{ {code(scope, kind, *facts)} }}")
            of_line[len(lines)] = f"{header}: {scope} {kind} {facts}"
    assert len(of_line) > 1200
    (tmp_path / "api.cpp").write_text("\n".join(lines) + "\n")
    include = [f"-I{ROOT / 'include'}", f"-I{ROOT}"]
    ran = subprocess.run(
        [compiler, "-std=c++20", "-fsyntax-only", "-w", *include, "api.cpp"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = re.findall(r"^api\.cpp:(\d+):\d+: error: (.*)$", ran.stderr, re.MULTILINE)
    wrong = [f"{of_line.get(int(at), lines[int(at) - 1])}\n  {what}" for at, what in errors]
    assert ran.returncode == 0, "\n".join(wrong) or ran.stderr
