#!/usr/bin/env bash
# Runs the guide that `latchkey dev` printed, and looks whether its answers are those that it promises.
# Usage: guide.sh GUIDE BASE
set -euo pipefail

# Each step asks what it says; the last call of it once more, after the revocation.
answers=$(bash -euo pipefail "$1")
echo "$answers"
grep -q '"keyText": "acme_live_' <<<"$answers"
grep -q '"outcome": "OUTCOME_VALID"' <<<"$answers"
grep -q '"immediate": true' <<<"$answers"

call=$(grep '^call()' "$1")
key_text=$(sed -n 's/.*"keyText": "\([^"]*\)".*/\1/p' <<<"$answers" | head -n 1)
again=$(bash -c "$call; call $(($2 + 10)) ValidationService/ValidateKey '{\"keyText\": \"$key_text\"}'")
grep -q '"outcome": "OUTCOME_REVOKED"' <<<"$again"
