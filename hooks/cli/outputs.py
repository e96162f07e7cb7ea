"""Files that a command writes."""

import sys
from pathlib import Path

from hooks.cli.terminal import Unusable


def write_output(name: str, content: bytes) -> str:
    """Write to the file of that name, or to stdout for "-"; where it went, in words. Raises Unusable."""
    try:
        if name == "-":
            sys.stdout.buffer.write(content)
            return "stdout"
        Path(name).write_bytes(content)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unusable(f"{name} cannot be written: {error.strerror}") from None
    return name
