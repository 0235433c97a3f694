"""Statistics of Tacit against numpy, statsmodels and exact fractions."""

import math
import random
import subprocess
import sys
from fractions import Fraction

import numpy as np
import statsmodels
import statsmodels.api as sm

PEERS = 3
random.seed(20261121)


class Case:
    def __init__(self, aggregator, records, largest, **parameters):
        self.aggregator, self.records, self.largest, self.parameters = aggregator, records, largest, parameters
        self.columns = len(records[0])

    def text(self):
        settings = " ".join(f"{key}={value}" for key, value in self.parameters.items())
        cuts = sorted(random.randint(0, len(self.records)) for _ in range(PEERS - 1))
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


def main():
    program = sys.argv[1]
    total = 0
    for check in (check_moments, check_weighted, check_histogram, check_pairs, check_regression):
        cases = check(program)
        print(f"{check.__name__}: {cases} cases agree")
        total += cases
    print(f"{total} cases agree with numpy {np.__version__} and statsmodels {statsmodels.__version__}")


main()
