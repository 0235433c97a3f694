#!/usr/bin/env bash
# Runs every fuzz target for some time (60 seconds each unless told otherwise) and prints what it reached.
#   scripts/fuzz.sh [SECONDS] [--yes] [TARGET ...]
# Needs a nightly Rust toolchain, and cargo-fuzz, which is installed after asking (--yes or CI=true: without).
# Is not part of CI: an hour per target finds more than a minute. Findings stay in fuzz/artifacts, what was learnt in
# fuzz/corpus; see fuzz/README.md. TACIT_FUZZ_SANITIZER=none where the address sanitizer does not link.
set -euo pipefail
cd "$(dirname "$0")/.."

yes=false
seconds=60
targets=()
for word in "$@"; do
  case "$word" in
    --yes) yes=true ;;
    --* | -*) echo "usage: scripts/fuzz.sh [SECONDS] [--yes] [TARGET ...]" >&2; exit 2 ;;
    *[!0-9]*) targets+=("$word") ;;
    *) seconds=$word ;;
  esac
done
if [ "${CI:-}" = true ]; then yes=true; fi

die() { printf 'fuzz.sh: %s\n' "$*" >&2; exit 1; }

command -v cargo >/dev/null || die "no cargo found; install Rust (see README)"
cargo +nightly --version >/dev/null 2>&1 || die "no nightly toolchain; install it: rustup toolchain install nightly"
command -v c++ >/dev/null || die "no C++ compiler found; libFuzzer needs one (Debian: apt-get install g++)"
if ! cargo fuzz --version >/dev/null 2>&1; then
  if [ "$yes" = false ]; then
    [ -t 0 ] || die "cargo-fuzz is not installed; run again with --yes to install it"
    read -r -p "cargo-fuzz is not installed. Install it now from crates.io? [Y/n] " answer
    case "$answer" in "" | y* | Y*) ;; *) die "not installed; nothing was run" ;; esac
  fi
  cargo install --quiet --locked cargo-fuzz
fi

export CARGO_TERM_COLOR=never
# SQLite keeps two tables of one name in two of its files, which is right in C and a complaint here.
export ASAN_OPTIONS="detect_odr_violation=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
sanitizer=${TACIT_FUZZ_SANITIZER:-address}
cargo +nightly fuzz build --sanitizer "$sanitizer"
if [ ${#targets[@]} = 0 ]; then
  mapfile -t targets < <(cargo +nightly fuzz list)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=()
printf '%-18s %10s %8s %8s %8s\n' target runs runs/s edges inputs
for target in "${targets[@]}"; do
  mkdir -p "fuzz/corpus/$target"
  options=(-max_total_time="$seconds" -timeout=30 -rss_limit_mb=3072 -print_final_stats=1)
  case "$target" in
    accord_* | job_* | api_texts) options+=(-dict=fuzz/dict/json.dict) ;;
    api_*) options+=(-dict=fuzz/dict/http.dict) ;;
  esac
  inputs=("fuzz/corpus/$target")
  # Not every target has seeds.
  [ ! -d "fuzz/seeds/$target" ] || inputs+=("fuzz/seeds/$target")
  if ! cargo +nightly fuzz run --sanitizer "$sanitizer" "$target" "${inputs[@]}" -- "${options[@]}" >"$log" 2>&1; then
    failed+=("$target")
    tail -n 40 "$log"
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
  last=$(grep -E '^#[0-9]+.* cov: ' "$log" | tail -n 1 || true)
  edges=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' <<<"$last")
  kept=$(sed -n 's/.* corp: \([0-9]*\).*/\1/p' <<<"$last")
  printf '%-18s %10s %8s %8s %8s\n' "$target" "${runs:--}" "${rate:--}" "${edges:--}" "${kept:--}"
done
[ ${#failed[@]} = 0 ] || die "these targets failed: ${failed[*]}; fuzz/README.md says what to do"
