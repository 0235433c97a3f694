#!/usr/bin/env python3
"""Verifies a receipt as docs/receipt-spec.md describes it, with Python's standard library alone.

    verify_receipt.py RECEIPT [--key FINGERPRINT] [--contribution FILE] [--consensus FILE]

Exit code 0: everything holds. 3: something does not, and what. 2: wrong usage. Written from the specification, as a
second opinion on the program's own verifier; it shares no code with it.
"""
import argparse
import base64
import hashlib
import json
import pathlib
import sys


class Broken(Exception):
    """Something in the receipt does not hold."""


def need(condition, why):
    if not condition:
        raise Broken(why)

# ---- Ed25519 (RFC 8032, section 5.1.7)
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
    x = x if (x * x - square) % P == 0 else x * ROOT % P
    need((x * x - square) % P == 0 and not (x == 0 and sign), "a point is not on the curve")
    x = x if x & 1 == sign else P - x
    return (x, y, 1, x * y % P)


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed(key, message, signature):
    """Whether the 32-byte key signed the message."""
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= L:
        return False
    challenge = hashlib.sha512(signature[:32] + key + message).digest()
    left = times(s, BASE)
    right = add(point(signature[:32]), times(int.from_bytes(challenge, "little") % L, point(key)))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0

SPKI = bytes.fromhex("302a300506032b6570032100")


def unbase64(text):
    raw = base64.b64decode(text, validate=True)
    need(base64.b64encode(raw).decode() == text, "not canonical base64")
    return raw


def key_of(text):
    """(fingerprint, raw key) of a base64 SubjectPublicKeyInfo."""
    spki = unbase64(text)
    need(len(spki) == 44 and spki.startswith(SPKI), "not an Ed25519 key")
    return hashlib.sha256(spki).hexdigest(), spki[12:]


def has_one_form(value):
    if isinstance(value, dict):
        return all(name.isascii() and has_one_form(part) for name, part in value.items())
    if isinstance(value, list):
        return all(map(has_one_form, value))
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < 2**53
    return value is None or isinstance(value, (str, bool))


def canonical(value):
    """RFC 8785 for what receipts hold: ASCII names, texts, integers below 2^53, no fractions."""
    need(has_one_form(value), "a name is not ASCII, or a number is no integer below 2^53")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(purpose, text):
    return hashlib.sha256(b"tacit/v1/" + purpose.encode() + b"\0" + text.encode()).hexdigest()


def fields(value, names, where):
    need(isinstance(value, dict) and set(value) == set(names), f"{where} has not the known members")


def hexadecimal(text, where):
    need(isinstance(text, str) and len(text) == 64 and set(text) <= set("0123456789abcdef"), f"{where} is no digest")
    return bytes.fromhex(text)

def included(data, index, size, proof, root):
    """RFC 9162, section 2.1.3.2: whether the proof leads from the leaf over the data, at this index among so many, to the root."""
    if not 0 <= index < size:
        return False
    at, last, value = index, size - 1, hashlib.sha256(b"\0" + data).digest()
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            value = hashlib.sha256(b"\1" + sibling + value).digest()
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            value = hashlib.sha256(b"\1" + value + sibling).digest()
        at, last = at >> 1, last >> 1
    return last == 0 and value == root

STATEMENT = """agreement attempt binding budget compute consensus contributors format frozen group guards model plan
    recipients run session slot task threshold""".split()


def check_statement(statement):
    fields(statement, STATEMENT, "statement")
    need(statement["format"] == "tacit-receipt/1", "statement: another format")
    for name in ("plan", "frozen", "binding", "consensus", "agreement"):
        need(name == "agreement" and statement[name] is None or hexadecimal(statement[name], "statement"), name)
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
    label = hashlib.sha256(name.encode() + b"\n\x01" + key).digest()[:4]
    good = 0
    for line in lines[:-1].split("\n"):
        dash, who, data = (line.split(" ") + ["", ""])[:3]
        need(dash == "\u2014" and data, "checkpoint: a signature line is malformed")
        raw = unbase64(data)
        if who == name and raw[:4] == label:
            need(signed(key, (text + "\n").encode(), raw[4:]), "checkpoint: its signature does not verify")
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
    data = canonical(entry).encode()
    need(included(data, log["number"] - 1, size, proof, root), "log: the entry is not under the checkpoint")
    return fingerprint


def check_contribution(statement, own):
    fields(own, ["counted", "party", "reason", "session"], "contribution")
    need(own["session"] == statement["session"], "contribution: of another session")
    need(own["counted"] is not None, f"contribution: not counted: {own['reason']}")
    fields(own["counted"], ["commitment", "index", "proof"], "contribution")
    data = b"tacit/v1/contribution\0" + hexadecimal(own["party"], "contribution: party")
    data += hexadecimal(own["counted"]["commitment"], "contribution: commitment")
    proof = [hexadecimal(text, "contribution: proof") for text in own["counted"]["proof"]]
    count, root = statement["contributors"]["count"], bytes.fromhex(statement["contributors"]["root"])
    need(included(data, own["counted"]["index"], count, proof, root), "contribution: not under the root")


def check_consensus(statement, documents):
    """Follows the group's signed documents up to the one of the receipt: its members computed, at its threshold."""
    documents = json.loads(documents) if documents.startswith("[") else documents.splitlines()
    authority, last, number = None, None, 0
    for document in map(json.loads, filter(None, documents)):
        fields(document, ["signatures", "text"], "consensus")
        text = json.loads(document["text"])
        need(canonical(text) == document["text"], "consensus: not in canonical form")
        fields(text, ["charter", "decided_at", "previous", "sequence"], "consensus")
        charter, own = text["charter"], digest("consensus", document["text"])
        follows = text["previous"] == last and text["sequence"] == number + 1
        need(follows and charter["group"] == statement["group"], "consensus: it does not follow the one before")
        signers = {}
        for line in document["signatures"]:
            fields(line, ["key", "signature"], "consensus")
            signers[line["key"]], key = key_of(line["key"])
            message = b"tacit/v1/charter\0" + bytes.fromhex(own)
            need(signed(key, message, unbase64(line["signature"])), "consensus: a signature does not verify")
        need(authority or charter["manager"] in signers, "consensus: the manager did not sign the first one")
        authority = authority or charter
        deciders, quorum = set(authority["owners"]), authority["quorum"] or len(authority["owners"])
        if not deciders:
            deputies = {key for key, fingerprint in signers.items() if fingerprint in authority.get("deputies", [])}
            deciders, quorum = {authority["manager"]} | deputies, 1
        need(len(deciders & set(signers)) >= quorum, "consensus: too few of those who decide signed")
        need(set(charter["owners"]) <= deciders | set(signers), "consensus: a new owner did not sign")
        authority, last, number = charter, own, text["sequence"]
        if own == statement["consensus"]:
            break
    else:
        raise Broken(f"consensus: {statement['consensus']} is not in this file")
    computing = {member["fingerprint"] for member in charter["members"] if member["role"] in ("privacy", "both")}
    need(statement["threshold"] == charter["threshold"], "consensus: the charter has another threshold")
    need(set(statement["compute"]) <= computing, "consensus: somebody computed who does not in this charter")


def verify(raw, pin=None, contribution=None, consensus=None):
    text = raw.decode("utf-8").removesuffix("\n")
    receipt = json.loads(text)
    need(canonical(receipt) == text, "document: not in canonical form")
    fields(receipt, ["log", "signatures", "statement"], "document")
    statement, signatures = receipt["statement"], receipt["signatures"]
    check_statement(statement)
    check_signatures(statement, signatures)
    gateway = check_log(statement, signatures, receipt["log"])
    need(pin in (None, gateway), f"log: of {gateway}")
    if consensus is not None:
        check_consensus(statement, consensus.decode("utf-8"))
    if contribution is not None:
        check_contribution(statement, json.loads(contribution))
    return statement, gateway


def main(arguments):
    parser = argparse.ArgumentParser(usage=__doc__)
    for name in ("receipt", "--key", "--contribution", "--consensus"):
        parser.add_argument(name)
    given = parser.parse_args(arguments)
    paths = (given.receipt, given.contribution, given.consensus)
    try:
        receipt, own, agreed = (path and pathlib.Path(path).read_bytes() for path in paths)
        statement, gateway = verify(receipt, given.key, own, agreed)
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    except (Broken, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        print(f"the receipt does not hold: {error}", file=sys.stderr)
        return 3
    print(f"holds: {statement['contributors']['count']} contributions, session {statement['session']}, log of {gateway}")
    parameters = statement["task"].get("parameters") if isinstance(statement["task"], dict) else None
    if isinstance(parameters, dict) and isinstance(parameters.get("provider"), str):
        print(f"computed by the SMC provider {parameters['provider']}: that it kept to model and threshold nobody signed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
