"""Chat templates."""

import pytest
import tiny
from mica import llm
from mica.errors import UserError
from mica.llm.chat import ChatTemplate

HELLO = [{"role": "user", "content": "Hello"}]


def test_the_packaged_model(smollm2):
    _, tokenizer = smollm2
    assert tokenizer.template.render(HELLO) == (
        "<|im_start|>system\n"
        "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    )
    system = [{"role": "system", "content": "Be brief."}, *HELLO]
    assert tokenizer.template.render(system).startswith(
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello"
    )


def test_control_tokens_become_single_ids(smollm2):
    _, tokenizer = smollm2
    ids = llm.chat_prompt(tokenizer, "Hello", system="Be brief.")
    assert ids.count(1) == 3  # <|im_start|>
    assert ids.count(2) == 2  # <|im_end|>


def test_without_generation_prompt():
    text = ChatTemplate(tiny.CHAT_TEMPLATE).render(HELLO, add_generation_prompt=False)
    assert text == "<|im_start|>user\nHello<|im_end|>\n"


def test_token_names_and_helpers():
    template = ChatTemplate(
        "{{ bos_token }}{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}\n"
        "    {{- m | tojson }}{% endfor %}{{ strftime_now('%Y') | length }}",
        {"bos_token": "<s>"},
    )
    assert template.render(HELLO * 3) == '<s>{"role": "user", "content": "Hello"}4'


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ raise_exception('no system role') }}", "refuses: no system role"),
        ("{% for %}", "chat template"),
        ("{{ messages[0].nothing.more }}", "chat template"),
        ("{{ 1 // 0 }}", "chat template"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
    ],
)
def test_a_bad_template_is_the_users_error(source, message):
    with pytest.raises(UserError, match=message):
        ChatTemplate(source).render(HELLO)
