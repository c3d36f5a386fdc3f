"""An operation of one's own as a Python module: python setup.py build_ext --inplace."""

from mlx import extension
from setuptools import setup

setup(
    name="mica_sample",
    version="0.1.0",
    ext_modules=[extension.CMakeExtension("mica_sample._ext")],
    cmdclass={"build_ext": extension.CMakeBuild},
    packages=["mica_sample"],
    package_data={"mica_sample": ["*.so", "*.dylib"]},
    zip_safe=False,
)
