"""For all tests: interrupts reach the programs that tests start.

A shell that runs the tests in the background ignores interrupts, and what it starts inherits that.
"""

import signal

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
