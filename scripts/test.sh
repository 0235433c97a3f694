#!/usr/bin/env bash
# Runs every test on this machine. Installs what the tests need, after asking (--yes or CI=true: without).
#   scripts/test.sh [--yes]
set -euo pipefail
cd "$(dirname "$0")/.."

yes=false
case "${1:-}" in
  "") ;;
  --yes) yes=true ;;
  *) echo "usage: scripts/test.sh [--yes]" >&2; exit 2 ;;
esac
if [ "${CI:-}" = true ]; then yes=true; fi

say() { printf '\n== %s\n' "$*"; }
die() { printf 'test.sh: %s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need PACKAGE WHY: installs a Debian package, or says how to.
need() {
  if ! command -v apt-get >/dev/null; then
    die "the tests need $1 ($2); install it with your package manager and run this again"
  fi
  if [ "$yes" = false ]; then
    [ -t 0 ] || die "the tests need $1 ($2); run again with --yes to install it"
    read -r -p "The tests need the package $1 ($2). Install it now? [Y/n] " answer
    case "$answer" in "" | y* | Y*) ;; *) die "not installed; the tests cannot run without it" ;; esac
  fi
  say "installing $1"
  as_root apt-get update -qq >/dev/null
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$1" >/dev/null
}

command -v cargo >/dev/null || die "no cargo found; install Rust (see README)"
command -v cc >/dev/null || need gcc "a C compiler"
command -v curl >/dev/null || need curl "the scripts of the P2DS manual are run as they are"
python3 -c 'import ensurepip, venv' 2>/dev/null || need python3-venv "statistics are compared with numpy and statsmodels"
command -v ip >/dev/null || need iproute2 "discovery is tested in network namespaces"
[ "$(id -u)" -eq 0 ] || say "not root: the tests of discovery, which make network namespaces, will fail"
command -v valgrind >/dev/null || need valgrind "work on secrets is shown not to depend on them"
have_postgres() { command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
have_postgres || need postgresql "the store suite runs on PostgreSQL too"
have_postgres || die "PostgreSQL was installed, but initdb is not to be found"

export CARGO_INCREMENTAL=0
export CARGO_TERM_COLOR=never

say "formatting"
cargo fmt --all --check

say "lints"
cargo clippy --quiet --locked --workspace --all-targets -- -D warnings

say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --workspace --no-deps

if cargo deny --version >/dev/null 2>&1; then
  say "licences and sources"
  cargo deny --locked check bans licenses sources
else
  say "licences and sources: cargo-deny is not installed; the licence test of the suite covers the allow-list"
fi

# Only that they compile: scripts/fuzz.sh runs them. The fuzzer's own library, in C++, is not needed for that.
say "fuzz targets"
CUSTOM_LIBFUZZER_PATH=none/libFuzzer.a cargo check --quiet --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz

say "tests in documentation"
cargo test --quiet --locked --workspace --doc

say "statistics against numpy and statsmodels"
scripts/oracles.sh || die "the statistics differ from the oracles', or the oracles could not be installed"

say "constant time"
scripts/constant_time.sh || die "work on secrets depends on them, or valgrind does not run"

say "tests"
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --locked --workspace --status-level fail --final-status-level fail
else
  cargo test --locked --workspace
fi
