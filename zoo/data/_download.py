import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from ._idx import encode_idx, read_idx


FASHION_MNIST_ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

# sha256 of each file unpacked, as `zcat FILE | sha256sum` prints it, so that repacked copies pass too:
# Debian's files have lost the name and the time in the gzip header. Put back, they have the MD5 sums that
# the authors publish.
_DIGESTS = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
FASHION_MNIST_FILES = tuple(_DIGESTS)

_LIMIT = 1 << 26  # bytes of one download; the largest of the four has 26 million
_CHUNK = 1 << 16
_TIMEOUT = 30  # seconds without an answer


def download_fashion_mnist(directory: Path, *, address: str, progress: bool) -> None:
    """Fetch those of the four files that `directory` lacks.

    Each appears there whole and checked, or not at all: an interrupted download goes on at the next file.

    **Raises:** `OSError` where the network or the disk fails, `ValueError` where a file is not the original.
    """
    if not address.startswith(("http://", "https://")):
        raise ValueError(f"`fashion_mnist(address={address!r})` needs an address that begins with http")
    directory.mkdir(parents=True, exist_ok=True)
    for name in FASHION_MNIST_FILES:
        target = directory / f"{name}.gz"
        if not target.is_file() and not (directory / name).is_file():
            fetch(f"{address.rstrip('/')}/{name}.gz", target, check=_verify, name=name, progress=progress)


def fetch(
    url: str, target: Path, *, check: Callable[[Path, str, str], None], name: str, progress: bool, limit: int = _LIMIT
) -> None:
    """Download a file, which appears whole and checked, or not at all.

    **Arguments:** `check`: of the file's path, the url and the name, raises `ValueError` where it is not the original;
    `limit`: bytes that it may have at most.

    **Raises:** `OSError` where the network or the disk fails, `ValueError` where the file is not the original.
    """
    # Beside the target, so that the rename stays within one file system.
    handle, temporary = tempfile.mkstemp(prefix=f".{name}-", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            try:
                _stream(url, file, name, progress, limit)
            except http.client.HTTPException as error:
                raise OSError(f"{url} broke off: {error!r}") from error
            file.flush()
            os.fsync(file.fileno())
        check(Path(temporary), url, name)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _stream(url: str, file, name: str, progress: bool, limit: int) -> None:
    from tqdm import tqdm  # costs time that those who have the files need not spend

    request = urllib.request.Request(url, headers={"User-Agent": "vae-zoo"})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        raise OSError(f"{url} answered {error.code} {error.reason}") from error
    with response:
        declared = response.headers.get("Content-Length", "")
        total = int(declared) if declared.isdecimal() else None
        if (total or 0) > limit:
            raise ValueError(f"{url} offers {total:,} bytes, more than the {limit:,} expected at most")
        received = 0
        with tqdm(total=total, unit="B", unit_scale=True, desc=name, disable=not progress) as bar:
            while chunk := response.read(_CHUNK):
                received += len(chunk)
                if received > limit:
                    raise ValueError(f"{url} sends more than the {limit:,} bytes expected at most")
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and received != total:
        raise OSError(f"{url} broke off after {received:,} of {total:,} bytes")


def _verify(path: Path, url: str, name: str) -> None:
    try:
        contents = encode_idx(read_idx(path, dimensions=3 if "images" in name else 1))
    except ValueError as error:
        raise ValueError(f"{url} did not send an IDX file: {error}") from None
    digest = hashlib.sha256(contents).hexdigest()
    if digest != _DIGESTS[name]:
        raise ValueError(f"{url} has, unpacked, the sha256 {digest}, the original {_DIGESTS[name]}")
