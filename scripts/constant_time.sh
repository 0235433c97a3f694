#!/bin/sh
# Shows that work on shares does not depend on secrets: the same program on secrets of other values, with the same
# randomness, must execute exactly as many instructions and touch memory exactly as often, with the same cache misses. A
# branch on a secret changes the first, an index by a secret the last. Needs valgrind; exit code 4 without it.
set -eu
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "constant_time.sh needs valgrind" >&2; exit 4; }
cargo build --quiet --release --locked --workspace --example constant_time
program="${CARGO_TARGET_DIR:-target}/release/examples/constant_time"
# Instructions, reads, writes, misses. Without randomised addresses, which alone would change misses.
count() {
    counted=$(setarch -R valgrind --tool=callgrind --cache-sim=yes --callgrind-out-file=/dev/null \
        --toggle-collect='*constant_time*measured*' "$program" "$@" 2>&1 | sed -n 's/^.*Collected : //p')
    [ "${counted:-0}" != 0 ] || { echo "nothing was counted" >&2; exit 1; }
    echo "$counted"
}
wanted="$(count 0)"
echo "$wanted"
for secrets in 1 2; do
    found="$(count "$secrets")"
    if [ "$found" != "$wanted" ]; then
        printf 'work depends on secrets: %s\n' "$found" >&2
        exit 1
    fi
done
# That it would be seen.
if [ "$(count 0 leak)" = "$(count 1 leak)" ]; then
    echo "a branch on a secret was not found: this check shows nothing" >&2
    exit 1
fi
echo "the same for all secrets"
