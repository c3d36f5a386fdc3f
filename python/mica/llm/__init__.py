"""Language models: loading, prompting, generating."""

from mica.llm.chat import ChatTemplate
from mica.llm.generation import Statistics, chat_prompt, generate, generate_tokens, stream_text
from mica.llm.llama import LanguageModel
from mica.llm.loading import default_model, load
from mica.llm.sample import make_sampler
from mica.llm.tokenizer import TextStream, Tokenizer

__all__ = [
    "ChatTemplate",
    "LanguageModel",
    "Statistics",
    "TextStream",
    "Tokenizer",
    "chat_prompt",
    "default_model",
    "generate",
    "generate_tokens",
    "load",
    "make_sampler",
    "stream_text",
]
