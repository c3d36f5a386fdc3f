import subprocess
from pathlib import Path

import mlx.core as mx
import pytest
import tiny


@pytest.fixture(scope="session")
def mlx_root(tmp_path_factory) -> Path:
    """What CMake is given as MLX_ROOT: the installed package, or one installed from the build."""
    from mlx.__main__ import cmake_root

    root = cmake_root()
    if (root / "share" / "cmake" / "MLX").exists():
        return root
    build = Path(mx.__file__).resolve().parents[2]
    root = tmp_path_factory.mktemp("mlx_root")
    install = ["cmake", "--install", str(build), "--prefix", str(root)]
    subprocess.run(install, check=True, capture_output=True)
    return root


@pytest.fixture(scope="session")
def smollm2():
    """The packaged model as it is used: quantised weights, float32 activations."""
    from mica import llm

    return llm.load()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    config = tiny.config()
    return tiny.write_folder(tmp_path_factory.mktemp("tiny"), config, tiny.weights(config))


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    config = tiny.config()
    tiny.write_gguf(file, config, tiny.weights(config), kind="Q8_0")
    return file
