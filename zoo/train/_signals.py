import contextlib
import os
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def catch_signals() -> Iterator[list[int]]:
    """Keeps SIGTERM and SIGINT from ending the process, so that training can end between two steps.

    `with catch_signals() as received: fit(..., stop=lambda history: bool(received))` saves its last checkpoint and
    returns after a signal. A second signal ends the process at once. In a thread other than the main one Python lets
    nobody catch signals, and nothing is caught.

    **Returns:** a context manager, whose list holds the number of the signal that has arrived.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    # A thread reads them, as Python itself looks at a signal only when a compiled call returns.
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
