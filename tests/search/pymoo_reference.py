#!/usr/bin/env python3
"""Makes the hypervolumes that tests/test_search_quality.c compares NSGA-II with.

    pip install pymoo && python3 tests/search/pymoo_reference.py [SEEDS]

NSGA-II of pymoo: population 100, 250 generations (the first population is one of them), simulated
binary crossover (probability 0.9, eta 15), polynomial mutation (eta 20, 1 / variables, in 0.9 of the
children as by default); ZDT1 to 3 with 30 variables, DTLZ2 with 12 variables and 3 objectives. The
reference point is 1.1 in every objective. Prints the mean over seeds 1..SEEDS (20), the least and the most.
"""
import sys

import numpy
import pymoo
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.indicators.hv import HV
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.optimize import minimize
from pymoo.problems import get_problem


def volume(problem, seed):
    algorithm = NSGA2(pop_size=100, crossover=SBX(prob=0.9, eta=15), mutation=PM(eta=20))
    result = minimize(problem, algorithm, ("n_gen", 250), seed=seed, verbose=False)
    return HV(ref_point=numpy.full(problem.n_obj, 1.1))(result.pop.get("F"))


def main():
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print("pymoo", pymoo.__version__)
    problems = {
        "zdt1": get_problem("zdt1", n_var=30),
        "zdt2": get_problem("zdt2", n_var=30),
        "zdt3": get_problem("zdt3", n_var=30),
        "dtlz2": get_problem("dtlz2", n_var=12, n_obj=3),
    }
    for name, problem in problems.items():
        volumes = [volume(problem, seed) for seed in range(1, seeds + 1)]
        print("%-6s mean %.6f  least %.6f  most %.6f" % (
            name, numpy.mean(volumes), min(volumes), max(volumes)), flush=True)


if __name__ == "__main__":
    main()
