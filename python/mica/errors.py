"""The one exception that is the user's to fix, not ours."""


class UserError(Exception):
    """Bad input: a missing file, a broken model, an impossible option.

    The command prints its text as one line and leaves with code 2, so the text says what is wrong
    and where, and holds no line breaks of its own.
    """

    def __init__(self, message: object):
        super().__init__(" ".join(str(message).split()))
