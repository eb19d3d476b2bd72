"""`make bench`: runs every bench_*.py here and prints one table.

Absolute figures mean little between machines; the share of the raw limit, measured in the same run, does.
One benchmark alone: python -m benchmarks consume
"""

import importlib
import pkgutil
import sys

import benchmarks


def main(words: list[str]) -> int:
    names = [m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name.startswith("bench_")]
    chosen = [n for n in names if not words or any(word in n for word in words)]
    if not chosen:
        print(f"no benchmark matches {words}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    print(f"{'figure':<64} {'value':>14} {'unit':<12} {'of raw limit':>12}")
    for name in chosen:
        print(f"-- {name.removeprefix('bench_')}", flush=True)
        for figure, value, share, unit in importlib.import_module(f"benchmarks.{name}").run():
            print(f"{figure:<64} {value:>14,.1f} {unit:<12} {share:>12.0%}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
