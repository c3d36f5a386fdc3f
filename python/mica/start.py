"""Where the `mica` command begins: an interrupt during its imports ends it without a traceback."""

import _signal  # `signal` itself is an import that takes a while

_GIVEN = _signal.getsignal(_signal.SIGINT)
if _GIVEN is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def main() -> int:
    from mica import cli

    if _GIVEN is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _GIVEN)
    return cli.main()
