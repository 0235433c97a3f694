#!/usr/bin/env python3
"""Verifies a receipt as docs/receipt-spec.md describes it, with Python's standard library alone.

    verify_receipt.py RECEIPT [--key FINGERPRINT] [--contribution FILE]

Exit code 0: everything holds. 3: something does not, and what. 2: wrong usage. Written from the specification, as a
second opinion on the program's own verifier; it shares no code with it.
"""
import base64
import hashlib
import json
import sys


class Broken(Exception):
    """Something in the receipt does not hold."""


def need(condition, why):
    if not condition:
        raise Broken(why)


# ---- Ed25519 (RFC 8032, section 5.1.7) ------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def add(a, b):
    """Adds two points in extended coordinates."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(scalar, point):
    total = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def point(encoded):
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    need(y < P, "a point is not canonical")
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    need((x * x - square) % P == 0 and not (x == 0 and sign), "a point is not on the curve")
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed(key, message, signature):
    """Whether the 32-byte key signed the message."""
    if len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        return False
    challenge = hashlib.sha512(signature[:32] + key + message).digest()
    left = times(s, BASE)
    right = add(point(signature[:32]), times(int.from_bytes(challenge, "little") % L, point(key)))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


# ---- texts ----------------------------------------------------------------------------------------------------------

SPKI = bytes.fromhex("302a300506032b6570032100")


def unbase64(text):
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Broken("not base64") from error
    need(base64.b64encode(raw).decode() == text, "not canonical base64")
    return raw


def key_of(text):
    """(fingerprint, raw key) of a base64 SubjectPublicKeyInfo."""
    spki = unbase64(text)
    need(len(spki) == 44 and spki.startswith(SPKI), "not an Ed25519 key")
    return hashlib.sha256(spki).hexdigest(), spki[12:]


def canonical(value):
    """RFC 8785 for what receipts hold: ASCII names, texts, integers below 2^53, no fractions."""

    def check(value):
        if isinstance(value, dict):
            need(all(name.isascii() for name in value), "a name is not ASCII")
            for part in value.values():
                check(part)
        elif isinstance(value, list):
            for part in value:
                check(part)
        elif isinstance(value, int) and not isinstance(value, bool):
            need(abs(value) < 2**53, "a number is too large")
        else:
            need(value is None or isinstance(value, (str, bool)), "a number is no integer")

    check(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(purpose, text):
    return hashlib.sha256(b"tacit/v1/" + purpose.encode() + b"\0" + text.encode()).hexdigest()


def fields(value, names, where):
    need(isinstance(value, dict) and set(value) == set(names), f"{where} has not the known members")


def hexadecimal(text, where):
    good = isinstance(text, str) and len(text) == 64 and set(text) <= set("0123456789abcdef")
    need(good, f"{where} is not 64 hexadecimal digits")
    return bytes.fromhex(text)


# ---- Merkle trees (RFC 9162, section 2.1.3.2) --------------------------------------------------------------------------


def leaf_hash(data):
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def included(leaf, index, size, proof, root):
    if not 0 <= index < size:
        return False
    at, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            value = node_hash(sibling, value)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and value == root


# ---- the receipt ----------------------------------------------------------------------------------------------------

STATEMENT = """agreement attempt binding budget compute consensus contributors format frozen group guards model plan
    recipients run session slot task threshold""".split()


def check_statement(statement):
    fields(statement, STATEMENT, "statement")
    need(statement["format"] == "tacit-receipt/1", "statement: another format")
    for name in ("plan", "frozen", "binding", "consensus"):
        hexadecimal(statement[name], f"statement: {name}")
    if statement["agreement"] is not None:
        hexadecimal(statement["agreement"], "statement: agreement")
    fields(statement["contributors"], ["count", "root"], "statement: contributors")
    hexadecimal(statement["contributors"]["root"], "statement: root")
    need(statement["contributors"]["count"] > 0, "statement: nobody contributed")
    compute = statement["compute"]
    need(compute == sorted(set(compute)), "statement: those who computed are not in order")
    need(len(compute) > statement["threshold"] >= 0, "statement: too few computed for the threshold")


def check_signatures(statement, signatures):
    message = b"tacit/v1/receipt\0" + canonical(statement).encode()
    signers = []
    for line in signatures:
        fields(line, ["key", "signature"], "signatures")
        fingerprint, key = key_of(line["key"])
        need(fingerprint in statement["compute"], f"signatures: {fingerprint} did not compute")
        need(signed(key, message, unbase64(line["signature"])), f"signatures: that of {fingerprint} does not verify")
        signers.append(fingerprint)
    need(signers == sorted(set(signers)), "signatures: not in order, each signer once")
    need(len(signers) > statement["threshold"], "signatures: fewer than threshold + 1")


def read_checkpoint(note, fingerprint, key):
    """(size, root) of a C2SP checkpoint that this key signed under the name tacit/<fingerprint>."""
    name = f"tacit/{fingerprint}"
    text, mark, lines = note.rpartition("\n\n")
    need(mark and lines.endswith("\n"), "checkpoint: not a signed note")
    text += "\n"
    label = hashlib.sha256(name.encode() + b"\n\x01" + key).digest()[:4]
    good = 0
    for line in lines[:-1].split("\n"):
        dash, who, data = (line.split(" ") + ["", ""])[:3]
        need(dash == "\u2014" and data, "checkpoint: a signature line is malformed")
        raw = unbase64(data)
        if who == name and raw[:4] == label:
            need(signed(key, text.encode(), raw[4:]), "checkpoint: its signature does not verify")
            good += 1
    need(good == 1, "checkpoint: not signed once by the node")
    origin, size, root = text.split("\n")[:3]
    need(origin == name and str(int(size)) == size, "checkpoint: of another log")
    return int(size), unbase64(root)


def check_log(statement, signatures, log):
    fields(log, ["checkpoint", "entry", "key", "number", "proof"], "log")
    fingerprint, key = key_of(log["key"])
    entry = log["entry"]
    fields(entry, ["at", "facts", "kind", "node"], "log: entry")
    need(entry["node"] == fingerprint and entry["kind"] == "receipt", "log: no receipt of this node")
    agreement = entry["facts"].get("agreement")
    hexadecimal(agreement, "log: agreement")
    expected = {
        "group": str(statement["group"]),
        "session": statement["session"],
        "statement": digest("receipt-statement", canonical(statement)),
        "signatures": digest("receipt-signatures", canonical(signatures)),
        "agreement": agreement,
    }
    need(entry["facts"] == expected, "log: the entry is about something else")
    need(statement["agreement"] in (None, agreement), "log: another result")
    size, root = read_checkpoint(log["checkpoint"], fingerprint, key)
    proof = [hexadecimal(text, "log: proof") for text in log["proof"]]
    leaf = leaf_hash(canonical(entry).encode())
    need(included(leaf, log["number"] - 1, size, proof, root), "log: the entry is not under the checkpoint")
    return fingerprint


def check_contribution(statement, own):
    fields(own, ["counted", "party", "reason", "session"], "contribution")
    need(own["session"] == statement["session"], "contribution: of another session")
    need(own["counted"] is not None, f"contribution: not counted: {own['reason']}")
    fields(own["counted"], ["commitment", "index", "proof"], "contribution")
    data = hexadecimal(own["party"], "contribution: party")
    data += hexadecimal(own["counted"]["commitment"], "contribution: commitment")
    proof = [hexadecimal(text, "contribution: proof") for text in own["counted"]["proof"]]
    count, root = statement["contributors"]["count"], bytes.fromhex(statement["contributors"]["root"])
    leaf = leaf_hash(b"tacit/v1/contribution\0" + data)
    need(included(leaf, own["counted"]["index"], count, proof, root), "contribution: not under the root")


def verify(raw, pin=None, contribution=None):
    text = raw.decode("utf-8").removesuffix("\n")
    receipt = json.loads(text)
    need(canonical(receipt) == text, "document: not in canonical form")
    fields(receipt, ["log", "signatures", "statement"], "document")
    statement, signatures = receipt["statement"], receipt["signatures"]
    check_statement(statement)
    check_signatures(statement, signatures)
    gateway = check_log(statement, signatures, receipt["log"])
    need(pin in (None, gateway), f"log: of {gateway}")
    if contribution is not None:
        check_contribution(statement, json.loads(contribution))
    return statement, gateway


def main(arguments):
    options = {"--key": None, "--contribution": None}
    files = []
    while arguments:
        first = arguments.pop(0)
        if first in options and arguments:
            options[first] = arguments.pop(0)
        else:
            files.append(first)
    if len(files) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with open(files[0], "rb") as file:
            raw = file.read()
        own = None
        if options["--contribution"]:
            with open(options["--contribution"], encoding="utf-8") as file:
                own = file.read()
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        statement, gateway = verify(raw, options["--key"], own)
    except (Broken, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        print(f"the receipt does not hold: {error}", file=sys.stderr)
        return 3
    print(f"holds: {statement['contributors']['count']} contributions, session {statement['session']}, log of {gateway}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
