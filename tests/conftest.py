"""What holds for all tests."""

import signal

# A shell lets programs that it starts in the background ignore Ctrl-C, and so do all that these start. The
# tests press it themselves.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
