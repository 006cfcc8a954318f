"""Looks for the secrets of key texts in files and folders: as they are, in hexadecimal digits, in base64.

Usage: canary.py SECRETS PLACE...  SECRETS is a file with a key text a line.
"""

import base64
import pathlib
import sys

CHECKSUM_CHARS = 6
SECRET_CHARS = 32


def forms(secret: bytes) -> list[bytes]:
    """How a secret may have been written. Of base64 the digits that do not depend on what is around it."""
    written = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    for before in range(3):
        first, end = -(-before * 8 // 6), (before + len(secret)) * 8 // 6
        digits = base64.b64encode(bytes(before) + secret)[first:end]
        written += [digits, digits.replace(b"+", b"-").replace(b"/", b"_")]
    return written


def files(place: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else [place]


def hits(secrets: list[bytes], bytes_of: dict[str, bytes]) -> list[str]:
    return [
        f"secret {number} is in {name}"
        for name, content in bytes_of.items()
        for number, secret in enumerate(secrets)
        if any(form in content for form in forms(secret))
    ]


def main() -> int:
    texts = pathlib.Path(sys.argv[1]).read_bytes().split()
    secrets = [text[-CHECKSUM_CHARS - SECRET_CHARS : -CHECKSUM_CHARS] for text in texts]
    # A search that finds nothing ever would prove nothing.
    for form in forms(secrets[0]):
        assert hits(secrets[:1], {"planted": b"before" + form + b"after"}), form
    found = {str(path): path.read_bytes() for place in sys.argv[2:] for path in files(pathlib.Path(place))}
    searched = sum(map(len, found.values()))
    wrong = hits(secrets, found)
    print(f"{len(secrets)} secrets, {len(found)} files, {searched} bytes", *wrong, sep="\n")
    return 1 if wrong or searched < 100_000 else 0


if __name__ == "__main__":
    sys.exit(main())
