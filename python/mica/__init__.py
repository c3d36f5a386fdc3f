"""Applications built on Mica: the `mica` command and the models behind it.

    mica generate "Why is the sky blue?"

Each application lives in a package of its own (`mica.llm`, ...) and can be used as a library:

    from mica import llm

    model, tokenizer = llm.load()
    print(llm.generate(model, tokenizer, "Why is the sky blue?", max_tokens=64))
"""
