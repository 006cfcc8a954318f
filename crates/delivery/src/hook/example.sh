#!/bin/sh
# A hook that keeps a file for each key in a folder, its one argument: what `kind = "file"` does, for those who need to do more on the
# way. Settings: command = "/usr/local/bin/this-file /run/keys", steps = "stage,deliver,finish".
#
# Each step may come again after a crash, and does the same. 75 says: try again; any other code holds the rotation.
set -eu
umask 077
cd "$1" || exit 75
key=${LATCHKEY_KEY##*/}
rotation=${LATCHKEY_ROTATION##*/}
next=$key.next-$rotation
before=$key.before-$rotation

# A key text names its version.
holds() { grep -q "_${LATCHKEY_VERSION##*/}_" "$1" 2>/dev/null; }

case $LATCHKEY_STEP in
  stage)
    for other in "$key".next-* "$key".before-*; do
      [ "$other" = "$next" ] || [ "$other" = "$before" ] || rm -f "$other"
    done
    # Whoever reads finds all of it or nothing.
    cat >"$key.part"
    mv -f "$key.part" "$next"
    ;;
  deliver)
    if holds "$next"; then
      [ ! -e "$key" ] || [ -e "$before" ] || ln "$key" "$before"
      mv -f "$next" "$key"
    else
      holds "$key"
    fi
    ;;
  finish)
    rm -f "$next"
    if [ "$LATCHKEY_ENDING" = undone ] && [ -e "$before" ]; then
      cp "$before" "$key.part"
      mv -f "$key.part" "$key"
    fi
    rm -f "$before"
    ;;
esac
