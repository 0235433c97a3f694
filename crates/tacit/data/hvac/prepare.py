"""Makes rooms.csv out of the package river 0.26.1: python3 prepare.py river-0.26.1-*.whl"""

import csv
import io
import sys
import zipfile

FILE = "river/drift/datasets/occupancy.csv"
# Room and the moment of its first reading; six readings follow each other.
ROOMS = [
    ("room-21", "2015-02-06 15"),
    ("room-22", "2015-02-09 10"),
    ("room-23", "2015-02-07 11"),
    ("room-24", "2015-02-05 20"),
    ("room-25", "2015-02-06 09"),
    ("room-31", "2015-02-05 09"),
    ("room-32", "2015-02-05 14"),
    ("room-33", "2015-02-08 13"),
    ("room-34", "2015-02-09 14"),
    ("room-35", "2015-02-06 13"),
    ("room-36", "2015-02-06 11"),
]

with zipfile.ZipFile(sys.argv[1]) as wheel:
    rows = list(csv.DictReader(io.StringIO(wheel.read(FILE).decode())))
with open("rooms.csv", "w", newline="") as out:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["room", "recorded", "minutes_before", "temperature", "light"])
    for room, start in ROOMS:
        first = next(i for i, row in enumerate(rows) if row["time"].startswith(start))
        for step, row in enumerate(rows[first : first + 6]):
            # The last reading is 8 minutes old, and readings are 16 minutes apart.
            writer.writerow([room, row["time"], 8 + 16 * (5 - step), f"{float(row['V1']):.2f}", f"{float(row['V3']):.2f}"])
