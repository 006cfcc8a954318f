"""Key texts that are sealed to a recipient, opened by HPKE and RSA-OAEP of others, and theirs by ours. Prints `ok` or `FAIL`."""

import base64
import json
import os
import pathlib
import subprocess
import sys
import traceback

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa, x25519
from pyhpke import AEADId, CipherSuite, KDFId, KEMId

WORK = pathlib.Path(os.environ["LATCHKEY_WORK"])
BUILT = pathlib.Path(os.environ["LATCHKEY_BUILT"])
KEYSPACE = "sealed/orders"
SUITE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)
INFO = b"latchkey/rotation/1"
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


def environment():
    """What `latchkey dev` exports for shells."""
    exports = [line.removeprefix("export ") for line in (WORK / "dev/env").read_text().splitlines()]
    pairs = [line.split("=", 1) for line in exports if line.startswith("LATCHKEY_") and "=" in line]
    return {"HOME": str(WORK), "PATH": os.environ["PATH"], **{name: value.strip("'") for name, value in pairs}}


def latchkey(*words, given=None):
    ended = subprocess.run(
        [BUILT / "latchkey", *words], env=environment(), input=given, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, f"latchkey {' '.join(map(str, words))}: {ended.returncode}\n{ended.stderr}"
    return ended.stdout


def write_pair(name, private):
    """The files of a pair of keys, as openssl writes them; their paths."""
    public_file, private_file = WORK / f"{name}.pem", WORK / f"{name}.key"
    encoding, pem = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    public_file.write_bytes(private.public_key().public_bytes(encoding, pem))
    private_file.touch(mode=0o600)
    private_file.write_bytes(
        private.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public_file, private_file


def sealed_by_us(public_file):
    """What creating a key gives to a recipient: the sealed bytes and the name of the version."""
    answer = json.loads(latchkey("key", "create", KEYSPACE, "--recipient", public_file, "--output", "json"))
    assert "keyText" not in answer, "the text itself is shown"
    return base64.b64decode(answer["sealedKeyText"]), answer["key"]["versions"][0]["name"]


def is_valid(text):
    with open(WORK / "secrets", "a", encoding="ascii") as secrets:
        secrets.write(text + "\n")
    outcome = json.loads(latchkey("validate", "--fully-consistent", "--output", "json", given=text))["outcome"]
    assert outcome == "VALID", outcome


def hpke_of_others_opens_ours():
    private = x25519.X25519PrivateKey.generate()
    sealed, version = sealed_by_us(write_pair("x25519", private)[0])
    secret = SUITE.kem.deserialize_private_key(private.private_bytes_raw())
    opener = SUITE.create_recipient_context(sealed[:32], secret, info=INFO)
    is_valid(opener.open(sealed[32:], aad=version.encode()).decode())


def oaep_of_others_opens_ours():
    for bits in (2048, 4096):
        private = rsa.generate_private_key(65537, bits)
        sealed, _ = sealed_by_us(write_pair(f"rsa-{bits}", private)[0])
        is_valid(private.decrypt(sealed, OAEP).decode())


def we_open_what_others_sealed():
    version = f"tenants/sealed/keyspaces/orders/keys/{'0' * 16}/versions/{'1' * 16}"
    private = x25519.X25519PrivateKey.generate()
    public = SUITE.kem.deserialize_public_key(private.public_key().public_bytes_raw())
    encapsulated, sealer = SUITE.create_sender_context(public, info=INFO)
    of_rsa = rsa.generate_private_key(65537, 3072)
    for name, key, sealed in [
        ("theirs-x25519", private, encapsulated + sealer.seal(b"sealed elsewhere", aad=version.encode())),
        ("theirs-rsa", of_rsa, of_rsa.public_key().encrypt(b"sealed elsewhere", OAEP)),
    ]:
        private_file = write_pair(name, key)[1]
        words = ("open-sealed", "--private-key-file", private_file, "--version", version)
        opened = latchkey(*words, given=base64.b64encode(sealed).decode())
        assert opened == "sealed elsewhere\n", name


def keys_of_ours_are_read_by_others():
    private_file = WORK / "ours.key"
    public = latchkey("recipient", "new", "--private-key-file", private_file)
    read = serialization.load_pem_public_key(public.encode())
    secret = serialization.load_pem_private_key(private_file.read_bytes(), password=None)
    assert secret.public_key() == read
    assert private_file.stat().st_mode & 0o777 == 0o600


def main():
    latchkey("tenant", "create", "sealed")
    latchkey("keyspace", "create", KEYSPACE, "--prefix", "sealed", "--environment", "development")
    failed = False
    for check in (
        hpke_of_others_opens_ours,
        oaep_of_others_opens_ours,
        we_open_what_others_sealed,
        keys_of_ours_are_read_by_others,
    ):
        name = check.__name__.replace("_", " ")
        try:
            check()
            print(f"ok   sealed: {name}")
        except Exception:  # pylint: disable=broad-except
            failed = True
            print(f"FAIL sealed: {name}")
            traceback.print_exc()
    sys.exit(failed)


if __name__ == "__main__":
    main()
