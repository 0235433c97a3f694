#!/usr/bin/env python3
"""Turns the honeypot records inside the PyPI package DataProfiler 0.14.0 into
the three CSV files of this folder; ORIGIN.md says what they mean.

    pip download --no-deps DataProfiler==0.14.0
    python3 prepare.py dataprofiler-0.14.0-py3-none-any.whl

The argument is the package's wheel, or the record file taken out of it. The
files are written beside this script. Only the standard library is needed.
"""

import csv
import hashlib
import io
import sys
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

MEMBER = "dataprofiler/tests/data/csv/aws_honeypot_marx_geo.csv"
SHA256 = "8c386860ef34a89dbcf4dc2d23cde4363178f5b738a9d88014a9eb224e3f6846"

DAY = datetime(2013, 3, 4)
SLOT = timedelta(minutes=5)
SLOTS = 288

# Each domain stands for an organisation with honeypots in one part of the world.
DOMAINS = {
    "domain-a": {"groucho-oregon", "groucho-us-east", "groucho-norcal", "zeppo-norcal"},
    "domain-b": {"groucho-tokyo", "groucho-singapore", "groucho-sydney"},
    "domain-c": {"groucho-eu", "groucho-sa"},
}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    records = read_records(Path(sys.argv[1]))
    counts, left_out = count(records)
    for domain, slots in counts.items():
        write(Path(__file__).resolve().parent / f"{domain}.csv", slots)
        print(f"{domain}: {sum(slots)} packets, busiest slot {max(slots)}, {slots.count(0)} empty slots")
    print(f"{left_out} records are of other days or carry no time")


def read_records(path):
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            raw = wheel.read(MEMBER)
    else:
        raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != SHA256:
        sys.exit(f"{path}: these are not the records of DataProfiler 0.14.0")
    return csv.DictReader(io.StringIO(raw.decode("utf-8"), newline=""))


def count(records):
    counts = {domain: [0] * SLOTS for domain in DOMAINS}
    domain_of = {host: domain for domain, hosts in DOMAINS.items() for host in hosts}
    left_out = 0
    for record in records:
        time = record["datetime"]
        slot = (datetime.strptime(time, "%m/%d/%y %H:%M") - DAY) // SLOT if time else -1
        if 0 <= slot < SLOTS:
            counts[domain_of[record["host"]]][slot] += 1
        else:
            left_out += 1
    return counts, left_out


def write(path, slots):
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.write("slot_start,count\n")
        for number, packets in enumerate(slots):
            start = DAY + number * SLOT
            out.write(f"{start:%Y-%m-%dT%H:%M:%SZ},{packets}\n")


if __name__ == "__main__":
    main()
