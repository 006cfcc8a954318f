"""What a container's build is given (.dockerignore) holds all that the sources include and cargo asks for."""

import fnmatch
import pathlib
import re

root = pathlib.Path(".")
rules = [line for line in (root / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]


def given(path):
    """As Docker reads the rules: the last that matches a path, or a folder above it, decides."""
    answer = True
    parts = path.parts
    above = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    for rule in rules:
        taken, pattern = not rule.startswith("!"), rule.removeprefix("!").removesuffix("/")
        patterns = [pattern, pattern.removeprefix("**/")] if pattern.startswith("**/") else [pattern]
        if any(fnmatch.fnmatchcase(one, each) for one in above for each in patterns):
            answer = not taken
    return answer


missing = set()
for source in [*root.glob("crates/**/*.rs"), *root.glob("tests/**/*.rs"), *root.glob("crates/*/build.rs")]:
    # Tests are not built there.
    text = source.read_text().split("#[cfg(test)]")[0]
    if "/tests/" in str(source) or source.name == "tests.rs":
        continue
    for name in re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', text):
        path = (source.parent / name).resolve().relative_to(root.resolve())
        if not given(path):
            missing.add(f"{source} includes {path}")
for needed in ["Cargo.toml", "Cargo.lock", "LICENSE", *map(str, root.glob("crates/*/Cargo.toml")), *map(str, root.glob("proto/**/*.proto")),
               *map(str, root.glob("tests/*/Cargo.toml"))]:
    if not given(pathlib.Path(needed)):
        missing.add(needed)
for secret in [".git/config", ".latchkey-dev/secrets/root.key", "deploy/compose/secrets/kek", "target/debug/latchkey"]:
    if given(pathlib.Path(secret)):
        missing.add(f"{secret} is given, and must not be")
assert not missing, "\n".join(sorted(missing))
