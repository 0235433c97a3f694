#!/bin/sh
# Shows that work on secrets does not depend on them: the same program on other secrets, with the same randomness, must
# execute exactly as many instructions and read and write memory exactly as often, with the same cache misses. A branch on a
# secret changes the first, an index by a secret the last. Both are tried first, and must be found.
# Needs valgrind; exit code 4 without it, 1 if something depends on a secret.
set -eu
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "constant_time.sh needs valgrind" >&2; exit 4; }
cargo build --quiet --release --locked --workspace --example constant_time
program="${CARGO_TARGET_DIR:-target}/release/examples/constant_time"
# count PART SECRETS: instructions, reads, writes, misses. Without randomised addresses, which alone would change misses.
said="$(mktemp)"
trap 'rm -f "$said"' EXIT
count() {
    setarch -R valgrind --tool=callgrind --cache-sim=yes --callgrind-out-file=/dev/null \
        --toggle-collect='*constant_time*measured*' "$program" "$@" >"$said" 2>&1 ||
        { cat "$said" >&2; echo "the program did not come to its end with $*" >&2; exit 1; }
    counted=$(sed -n 's/^.*Collected : //p' "$said")
    [ "${counted:-0}" != 0 ] || { echo "nothing was counted of $*" >&2; exit 1; }
    echo "$counted"
}
for part in branch index; do
    first="$(count $part 0)" || exit 1
    second="$(count $part 2)" || exit 1
    if [ "$first" = "$second" ]; then
        echo "a leak on purpose ($part) was not found: this check shows nothing" >&2
        exit 1
    fi
done
for part in fields sessions verified semi-honest; do
    wanted="$(count $part 0)" || exit 1
    for secrets in 1 2 3; do
        found="$(count $part $secrets)" || exit 1
        if [ "$found" != "$wanted" ]; then
            printf '%s depends on secrets:\n  %s\n  %s\n' "$part" "$wanted" "$found" >&2
            exit 1
        fi
    done
    echo "$part: the same for all secrets ($wanted)"
done
