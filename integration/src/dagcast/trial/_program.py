"""The child as a program, where a copy of whoever starts it would not be whole."""

import json
import signal
import sys

from dagcast.trial._child import ignored, run

if __name__ == "__main__":
    signal.signal(signal.SIGINT, ignored)
    run(json.loads(sys.argv[1]))
