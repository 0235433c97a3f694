"""Statistics of Tacit against numpy, statsmodels, MPyC and exact fractions."""

import math
import random
import subprocess
import sys
from collections import Counter
from fractions import Fraction

import mpyc
import numpy as np
import statsmodels
import statsmodels.api as sm
from mpyc.runtime import mpc
from mpyc.statistics import median

PEERS = 3
random.seed(20261121)


class Case:
    def __init__(self, aggregator, records, largest, vectors=False, **parameters):
        # One record of each peer, or any number of them.
        self.vectors = vectors
        self.aggregator, self.records, self.largest, self.parameters = aggregator, records, largest, parameters
        self.columns = len(records[0])

    def text(self):
        settings = " ".join(f"{key}={value}" for key, value in self.parameters.items())
        cuts = [1, 2] if self.vectors else sorted(random.randint(0, len(self.records)) for _ in range(PEERS - 1))
        parts = [self.records[a:b] for a, b in zip([0] + cuts, cuts + [len(self.records)])]
        rows = [" ".join(str(v) for record in part for v in record) for part in parts]
        return "\n".join([f"{self.aggregator} {self.columns} {self.largest} {settings}"] + rows) + "\n"


def compute(program, cases):
    run = subprocess.run([program], input="".join(c.text() for c in cases), capture_output=True, text=True, check=True)
    results, current = [], {}
    for line in run.stdout.splitlines():
        if line == "end":
            results.append(current)
            current = {}
        else:
            name, _, value = line.partition(" ")
            current[name] = value if name == "no-result" else float(value)
    assert len(results) == len(cases), run.stderr
    return results


def close(what, found, wanted, relative, absolute=0.0):
    assert abs(found - wanted) <= relative * abs(wanted) + absolute, f"{what}: {found!r} is not {wanted!r}"


def records(count, columns, largest):
    kinds = (lambda: 0, lambda: largest, lambda: random.randint(0, largest), lambda: random.randint(0, min(largest, 9)))
    return [[random.choice(kinds)() for _ in range(columns)] for _ in range(count)]


def check_moments(program):
    cases = []
    for largest in (1, 9, 1000, 10**9, 10**15):
        for count in (2, 3, 50):
            for name, parameters in (("mean", {}), ("variance", {"ddof": 0}), ("variance", {"ddof": 1}),
                                     ("std_deviation", {"ddof": 1})):
                cases.append(Case(name, records(count, 3, largest), largest, **parameters))
    for case, found in zip(cases, compute(program, cases)):
        table = np.array(case.records, dtype=np.float64)
        assert found["count"] == len(case.records)
        for at in range(case.columns):
            values = [Fraction(record[at]) for record in case.records]
            mean = sum(values) / len(values)
            assert found[f"mean(x{at + 1})"] == float(mean), case.text()
            close("numpy mean", found[f"mean(x{at + 1})"], table[:, at].mean(), 1e-12)
            if case.aggregator == "mean":
                continue
            ddof = case.parameters["ddof"]
            variance = sum((v - mean) ** 2 for v in values) / (len(values) - ddof)
            if case.aggregator == "variance":
                assert found[f"variance(x{at + 1})"] == float(variance), case.text()
                close("numpy var", found[f"variance(x{at + 1})"], table[:, at].var(ddof=ddof), 1e-10, 1e-12)
            else:
                close("root", found[f"std_deviation(x{at + 1})"], math.sqrt(variance), 2.0**-50)
                close("numpy std", found[f"std_deviation(x{at + 1})"], table[:, at].std(ddof=ddof), 1e-10, 1e-12)
    return len(cases)


def check_weighted(program):
    cases = [Case("weighted_mean", records(count, 3, 1000) + [[1, 2, 3]], 1000) for count in (1, 5, 40)]
    for case, found in zip(cases, compute(program, cases)):
        table = np.array(case.records, dtype=np.float64)
        for at in (0, 1):
            close("average", found[f"weighted_mean(x{at + 1})"], np.average(table[:, at], weights=table[:, 2]), 1e-12)
    return len(cases)


def check_histogram(program):
    edges = [0, 1, 250, 1000]
    cases = [Case("histogram", records(count, 1, 1000), 1000, edges="0,1,250,1000") for count in (1, 10, 100)]
    for case, found in zip(cases, compute(program, cases)):
        # numpy closes the last bucket at both ends; an end above all values makes it the same.
        counts, _ = np.histogram([record[0] for record in case.records], bins=edges + [10**6])
        assert list(found.values()) == list(counts), case.text()
    return len(cases)


def check_pairs(program):
    cases = []
    for largest in (9, 1000, 10**9):
        for count in (4, 60):
            table = records(count, 4, largest)
            table[0], table[1] = [0] * 4, [largest] * 4
            cases += [Case("covariance", table, largest, ddof=1), Case("correlation", table, largest)]
    for case, found in zip(cases, compute(program, cases)):
        table = np.array(case.records, dtype=np.float64)
        covariance = case.aggregator == "covariance"
        wanted = np.cov(table, rowvar=False) if covariance else np.corrcoef(table, rowvar=False)
        for a in range(4):
            for b in range(a if covariance else a + 1, 4):
                name = f"{case.aggregator}(x{a + 1},x{b + 1})"
                scale = math.sqrt(wanted[a][a] * wanted[b][b])
                close(name, found[name], wanted[a][b], 1e-10, 1e-12 * scale)
    return len(cases)


def check_regression(program):
    cases = []
    for count in (6, 30, 200):
        for intercept in ("yes", "no"):
            table = []
            for _ in range(count):
                x = [random.randint(0, 1000) for _ in range(3)]
                table.append(x + [max(0, 500 + 2 * x[0] - x[1] // 2 + random.randint(0, 300))])
            names = "age,bmi,stay,cost"
            cases.append(Case("linear_regression", table, 4000, intercept=intercept, names=names))
    for case, found in zip(cases, compute(program, cases)):
        table = np.array(case.records, dtype=np.float64)
        x, y = table[:, :3], table[:, 3]
        names = ["age", "bmi", "stay"]
        if case.parameters["intercept"] == "yes":
            x, names = sm.add_constant(x, has_constant="add"), ["intercept"] + names
        fit = sm.OLS(y, x, hasconst=case.parameters["intercept"] == "yes").fit()
        size = max(abs(fit.params))
        for at, name in enumerate(names):
            close(name, found[f"coefficient({name})"], fit.params[at], 1e-9, 1e-11 * size)
            close(name, found[f"standard_error({name})"], fit.bse[at], 1e-9)
        close("r_squared", found["r_squared"], fit.rsquared, 1e-10)
        close("residual_variance", found["residual_variance"], fit.mse_resid, 1e-9)
    return len(cases)


def check_logistic(program):
    cases = []
    for count, columns in ((60, 1), (200, 2), (200, 4), (400, 3)):
        for _ in range(2):
            weights = [random.uniform(-2, 2) for _ in range(columns + 1)]
            table = []
            for _ in range(count):
                x = [random.randint(0, 1000) for _ in range(columns)]
                chance = 1 / (1 + math.exp(-weights[0] - sum(w * (v / 500 - 1) for w, v in zip(weights[1:], x))))
                table.append(x + [int(random.random() < chance)])
            cases.append(Case("logistic_regression", table, 1000, max_records=count, bounds="declared"))
    for case, found in zip(cases, compute(program, cases)):
        table = np.array(case.records, dtype=np.float64)
        fit = sm.Logit(table[:, -1], sm.add_constant(table[:, :-1], has_constant="add")).fit(disp=0)
        names = ["intercept"] + [f"x{at}" for at in range(1, case.columns)]
        for at, name in enumerate(names):
            close(name, found[f"coefficient({name})"], fit.params[at], 0.0, 0.01 * fit.bse[at])
            close(name, found[f"standard_error({name})"], fit.bse[at], 0.01)
    return len(cases)


def check_order(program):
    """Smallest, largest, range, median, quantiles and order, against numpy and MPyC."""
    secint = mpc.SecInt(64)
    cases = []
    for largest in (1, 1000, 10**12):
        for count in (1, 2, 7, 12):
            for name, parameters in (("min", {}), ("max", {}), ("range", {}), ("median", {}), ("sort", {}),
                                     ("quantile", {"level": "0.95"}), ("quantile", {"level": "0.3"})):
                cases.append(Case(name, records(count, 1, largest), largest, max_records=12, **parameters))
    for case, found in zip(cases, compute(program, cases)):
        values = [record[0] for record in case.records]
        secret, found = [secint(v) for v in values], list(found.values())
        if case.aggregator == "quantile":
            close("numpy quantile", found[0], np.quantile(values, float(case.parameters["level"])), 1e-12)
            continue
        if case.aggregator == "sort":
            opened = [int(v) for v in mpc.run(mpc.output(mpc.sorted(secret)))]
            assert found == opened == sorted(values), case.text()
            continue
        wanted = {
            "min": lambda: mpc.min(secret), "max": lambda: mpc.max(secret),
            "range": lambda: mpc.max(secret) - mpc.min(secret),
            # MPyC rounds the mean of the two in the middle: twice the numbers have an even one.
            "median": lambda: median([2 * v for v in secret]),
        }[case.aggregator]()
        divisor = 2 if case.aggregator == "median" else 1
        assert found[0] == int(mpc.run(mpc.output(wanted))) / divisor, case.text()
        if case.aggregator == "median":
            assert found[0] == np.median(values), case.text()
    return len(cases)


def check_functions(program):
    """Products, entropy, sets and the largest items, against MPyC and plain Python."""
    secint = mpc.SecInt(128)
    cases = []
    for largest in (1, 9, 10**6):
        rows = records(PEERS, 8, largest)
        for name, parameters in (("product", {}), ("entropy", {"q": 2}), ("entropy", {"q": 3}), ("set_union", {}),
                                 ("set_intersection", {}), ("threshold_union", {"min_peers": 2}),
                                 ("set_cardinality", {}), ("top_k", {"k": 3}), ("event_correlation", {"min_peers": 2})):
            cases.append(Case(name, rows, largest, vectors=True, **parameters))
    for case, found in zip(cases, compute(program, cases)):
        columns = list(zip(*case.records))
        sums, have = [sum(c) for c in columns], [sum(v > 0 for v in c) for c in columns]
        values = list(found.values())
        if case.aggregator == "product":
            products = [mpc.prod([secint(v) for v in column]) for column in columns]
            assert values == [float(int(p)) for p in mpc.run(mpc.output(products))], case.text()
        elif case.aggregator == "entropy":
            q, total = case.parameters["q"], sum(sums)
            wanted = (1 - sum(Fraction(s, total) ** q for s in sums)) / (q - 1)
            assert found[f"tsallis({q})"] == float(wanted), case.text()
            assert found["per_mille"] == math.floor(1000 * wanted + Fraction(1, 2)), case.text()
        elif case.aggregator == "top_k":
            order = sorted((i for i in range(8) if sums[i]), key=lambda i: (-sums[i], i))[:3]
            assert list(found.items()) == [(f"sum({i + 1})", float(sums[i])) for i in order], case.text()
        elif case.aggregator == "event_correlation":
            wanted = {f"peers({i + 1})": float(have[i]) for i in range(8) if have[i] >= 2}
            wanted |= {f"weight({i + 1})": float(sums[i]) for i in range(8) if have[i] >= 2}
            assert found == wanted, case.text()
        elif case.aggregator == "set_cardinality":
            assert values == [sum(h > 0 for h in have)], case.text()
        else:
            least = {"set_union": 1, "set_intersection": PEERS, "threshold_union": 2}[case.aggregator]
            assert values == [float(h >= least) for h in have], case.text()
    return len(cases)


def check_keys(program):
    """Keys that nobody listed before, against collections.Counter."""
    cases = []
    for largest in (4, 1000, 2**32 - 1):
        heaviest = min(largest, 1000)
        for count in (1, 8, 30):
            keys = [largest, 0] + [random.randint(0, largest) for _ in range(6)]
            pairs = [[random.choice(keys), random.choice((0, 1, heaviest))] for _ in range(count)]
            cases.append(Case("top_keys", pairs, largest, k=3, max_records=30))
            cases.append(Case("key_cardinality", [[key] for key, _ in pairs], largest, max_records=30))
    for case, found in zip(cases, compute(program, cases)):
        if case.aggregator == "key_cardinality":
            assert found == {"keys": float(len({key for key, in case.records}))}, case.text()
            continue
        sums = Counter()
        for key, weight in case.records:
            sums[key] += weight
        order = sorted((key for key in sums if sums[key]), key=lambda key: (-sums[key], key))[:3]
        assert list(found.items()) == [(f"sum({key})", float(sums[key])) for key in order], case.text()
    return len(cases)


def main():
    program = sys.argv[1]
    total = 0
    for check in (check_moments, check_weighted, check_histogram, check_pairs, check_regression,
                  check_logistic, check_order, check_functions, check_keys):
        cases = check(program)
        print(f"{check.__name__}: {cases} cases agree")
        total += cases
    print(f"{total} cases agree with numpy {np.__version__}, statsmodels {statsmodels.__version__} "
          f"and MPyC {mpyc.__version__}")


main()
