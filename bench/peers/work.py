"""The work of bench/peers on Python's pools. Each measure_... function returns one number: seconds, or a rate.

What is slow to import is so where it is needed: spawned workers import this module.
"""

import multiprocessing
import os
import tempfile
import time

# What workers run.


def increment(n):
    return n + 1


def length(b):
    return len(b)


def receive(a):
    a[0] += 1  # it is the worker's own
    return float(a[0] + a[-1])


def meet(path, n):
    """Returns once n processes are here: so every worker has taken one task."""
    with open(path, "ab") as f:
        f.write(b"x")
    late = time.monotonic() + 60
    while os.path.getsize(path) < n:
        check(time.monotonic() < late)
        time.sleep(0.0002)
    return os.getpid()


def check(ok):
    if not ok:
        raise RuntimeError("wrong result")


# multiprocessing


def measure_up(method, n=10):
    with tempfile.NamedTemporaryFile() as f:
        start = time.perf_counter()
        with multiprocessing.get_context(method).Pool(n) as pool:
            pids = pool.starmap(meet, [(f.name, n)] * n, chunksize=1)
            took = time.perf_counter() - start
    check(len(set(pids)) == n)
    return took


def measure_call(n=5000):
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.apply(increment, (0,))
        start = time.perf_counter()
        for i in range(n):
            check(pool.apply(increment, (i,)) == i + 1)
        return (time.perf_counter() - start) / n


def measure_map(n, chunk):
    """chunk 0 leaves the choice to the pool."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(increment, range(100))
        want = list(range(1, n + 1))
        start = time.perf_counter()
        got = pool.map(increment, range(n), **({"chunksize": chunk} if chunk else {}))
        check(got == want)
        return n / (time.perf_counter() - start)


def measure_args(size=1_000_000, n=500):
    args = [bytes([i]) * size for i in range(8)]
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.apply(length, (b"",))
        start = time.perf_counter()
        for got in pool.imap(length, (args[i % 8] for i in range(n))):
            check(got == size)
        return n * size / (time.perf_counter() - start)


def measure_arg(floats=10_000_000, n=4):
    import numpy

    a = numpy.ones(floats)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.apply(length, (b"",))
        start = time.perf_counter()
        for i in range(n):
            check(pool.apply(receive, (a,)) == 3)
        return n * a.nbytes / (time.perf_counter() - start)


# joblib, with loky, its default; arguments are pickled (max_nbytes=None), as memory that is mapped from a file is not
# the worker's own. It runs nothing in another process for n_jobs=1, so two workers are up where one would do.


def measure_joblib_up(n=10):
    """Only in a process that has used joblib for nothing else: it keeps its workers. They need not all have answered:
    loky gives some no task before the first have ended, so meet would wait for ever."""
    import joblib

    start = time.perf_counter()
    got = joblib.Parallel(n_jobs=n, batch_size=1, pre_dispatch="all")(joblib.delayed(increment)(i) for i in range(n))
    took = time.perf_counter() - start
    check(got == list(range(1, n + 1)))
    return took


def joblib_pool(**options):
    import joblib

    return joblib.Parallel(n_jobs=2, max_nbytes=None, **{"pre_dispatch": "all", **options})


def delayed(f):
    import joblib

    return joblib.delayed(f)


def measure_joblib_call(n=200):
    with joblib_pool() as parallel:
        parallel(delayed(increment)(i) for i in range(20))
        start = time.perf_counter()
        for i in range(n):
            check(parallel([delayed(increment)(i)]) == [i + 1])
        return (time.perf_counter() - start) / n


def measure_joblib_map(n, chunk):
    with joblib_pool(batch_size=chunk or "auto") as parallel:
        parallel(delayed(increment)(i) for i in range(100))
        want = list(range(1, n + 1))
        start = time.perf_counter()
        got = parallel(delayed(increment)(i) for i in range(n))
        check(got == want)
        return n / (time.perf_counter() - start)


def measure_joblib_args(size=1_000_000, n=300):
    args = [bytes([i]) * size for i in range(8)]
    with joblib_pool(batch_size=1, pre_dispatch=8) as parallel:
        parallel(delayed(length)(b"") for i in range(20))
        start = time.perf_counter()
        check(parallel(delayed(length)(args[i % 8]) for i in range(n)) == [size] * n)
        return n * size / (time.perf_counter() - start)


def measure_joblib_arg(floats=10_000_000, n=4):
    import numpy

    a = numpy.ones(floats)
    with joblib_pool() as parallel:
        parallel(delayed(length)(b"") for i in range(20))
        start = time.perf_counter()
        for i in range(n):
            check(parallel([delayed(receive)(a)]) == [3])
        return n * a.nbytes / (time.perf_counter() - start)
