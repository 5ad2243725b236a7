import contextlib
import os
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def signals_caught() -> Iterator[list[int]]:
    """While it lasts, the first SIGTERM or SIGINT is put into the list; the second ends the process at once.

    A thread reads them, as Python itself looks at a signal only when a compiled call returns.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # Python lets nobody else catch them
        yield received
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def watch():
        while signals := os.read(reading, 1):
            if received:
                os._exit(128 + signals[0])
            received.append(signals[0])

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    descriptor_before = signal.set_wakeup_fd(writing)
    handlers_before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in handlers_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(descriptor_before)
        os.close(writing)
        thread.join()
        os.close(reading)
