from pathlib import Path

import pytest
import tiny


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
