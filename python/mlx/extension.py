"""Operations of your own as Python modules: setuptools commands that build them with CMake.

A ``setup.py`` beside a ``CMakeLists.txt``::

    from mlx import extension
    from setuptools import setup

    setup(
        name="mine",
        ext_modules=[extension.CMakeExtension("mine._ext")],
        cmdclass={"build_ext": extension.CMakeBuild},
        packages=["mine"],
        package_data={"mine": ["*.so", "*.dylib"]},
    )

and in ``CMakeLists.txt``, where ``MLX_DIR`` is already known::

    find_package(MLX CONFIG REQUIRED)
    nanobind_add_module(_ext NB_STATIC STABLE_ABI NB_DOMAIN mlx bindings.cpp)
    target_link_libraries(_ext PRIVATE mlx)

``NB_DOMAIN mlx`` lets arrays pass between the module and ``mlx.core``. A whole example is in
``examples/extension`` of the repository. ``pip install --no-build-isolation .`` builds it, or
``python setup.py build_ext --inplace``.
"""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from mlx.__main__ import cmake_root
from setuptools import Extension
from setuptools.command.build_ext import build_ext

__all__ = ["CMakeBuild", "CMakeExtension"]


class CMakeExtension(Extension):
    """A module that a CMake project builds.

    Args:
        name: the module's full name, as in ``package._ext``; the CMake target's output name is the
            last part.
        sourcedir: the folder of ``CMakeLists.txt``. Default: the current one.
    """

    def __init__(self, name: str, sourcedir: str = "") -> None:
        super().__init__(name, sources=[])
        self.sourcedir = str(Path(sourcedir).resolve())


class CMakeBuild(build_ext):
    """The command ``build_ext`` for :class:`CMakeExtension`.

    What the project builds, libraries beside the module as well, lands in the package's folder.
    Environment: ``CMAKE_ARGS`` (more arguments), ``CMAKE_GENERATOR``,
    ``CMAKE_BUILD_PARALLEL_LEVEL``; ``DEBUG=1`` or ``--debug`` builds with debug information.
    """

    def build_extension(self, ext: CMakeExtension) -> None:
        if not isinstance(ext, CMakeExtension):
            super().build_extension(ext)
            return
        target = Path(self.get_ext_fullpath(ext.name)).resolve().parent
        debug = self.debug or os.environ.get("DEBUG", "0") not in ("", "0")
        arguments = [
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={target}",
            f"-DCMAKE_BUILD_TYPE={'Debug' if debug else 'Release'}",
            "-DBUILD_SHARED_LIBS=ON",
            "-DCMAKE_BUILD_RPATH=$ORIGIN",  # libraries of the project lie beside the module
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-DMLX_DIR={cmake_root() / 'share' / 'cmake' / 'MLX'}",
        ]
        if importlib.util.find_spec("nanobind") is not None:
            import nanobind

            arguments.append(f"-Dnanobind_DIR={nanobind.cmake_dir()}")
        if "CMAKE_GENERATOR" not in os.environ and shutil.which("ninja"):
            arguments.append("-GNinja")
        arguments += shlex.split(os.environ.get("CMAKE_ARGS", ""))

        build = Path(self.build_temp) / ext.name
        build.mkdir(parents=True, exist_ok=True)
        build_arguments = ["--config", "Debug" if debug else "Release"]
        if "CMAKE_BUILD_PARALLEL_LEVEL" not in os.environ:
            build_arguments += ["--parallel", str(self.parallel or os.cpu_count() or 1)]
        subprocess.run(["cmake", ext.sourcedir, *arguments], cwd=build, check=True)
        subprocess.run(["cmake", "--build", ".", *build_arguments], cwd=build, check=True)

    def copy_extensions_to_source(self) -> None:
        """With ``--inplace``: the module, and the libraries that were built beside it."""
        super().copy_extensions_to_source()
        build_py = self.get_finalized_command("build_py")
        for ext in self.extensions:
            if not isinstance(ext, CMakeExtension):
                continue
            source = Path(build_py.get_package_dir(ext.name.rpartition(".")[0]))
            built = Path(self.build_lib, *ext.name.split(".")[:-1])
            for file in [*built.glob("*.so"), *built.glob("*.dylib")]:
                shutil.copy2(file, source / file.name)
