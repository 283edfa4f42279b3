"""Mutation testing of the modules that carry the promises: `make mutants`.

Each mutant meets the quick tests that reach its line: those of the module's own test file first, then those of the same
folder, then at most `DRAWN` of all others, drawn by a fixed seed. A survivor is listed with its reason in
tests/SURVIVORS.md. Exit status 1 means that fewer than `GOAL` per cent were killed, that a survivor is not listed, or
that a listed change is no mutant of the module.
"""

from __future__ import annotations

import ast
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections import Counter
from pathlib import Path
from queue import Empty, Queue

from mutations import Mutant, mutants

REPOSITORY = Path(__file__).parents[2]
HERE = Path(__file__).parent
SURVIVORS = REPOSITORY / "tests" / "SURVIVORS.md"
MODULES = tuple(
    f"otel_usage/{name}.py"
    for name in (
        "consent", "facts/admission", "system/directory", "system/trusted_path", "system/file_names",
        "system/private_files", "delivery/local_file", "delivery/outbox", "delivery/outbox_files",
        "delivery/pending_report", "run/job", "run/run", "run/marker", "delivery/exporters/project_sender",
        "delivery/exporters/http", "delivery/exporters/connection",
    )
)  # fmt: skip
WORKERS = 2
DRAWN = 60
SEED = 20261124
OTHER_SYSTEMS = "tests/test_other_systems.py::"  # imports the package in child processes, on systems that lack something
GOAL = 90
LIMIT = 20.0  # seconds for the tests of a mutant, beside five times what they take by themselves
ROW = re.compile(r"^\| `(.+)` \| ", re.MULTILINE)  # a change that is listed
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".*cache*", "__pycache__", ".hypothesis")


class Copy:
    """A copy of the repository, with an interpreter that imports the package from it, in child processes as well."""

    def __init__(self, folder: Path) -> None:
        self.repository, place = folder / "repository", folder / "python"
        shutil.copytree(REPOSITORY, self.repository, ignore=NOT_COPIED)
        if (REPOSITORY / ".cache").exists():
            (self.repository / ".cache").symlink_to((REPOSITORY / ".cache").resolve())
        venv.create(place)
        self.python = place / "bin" / "python"
        own, installed = (next(Path(root).glob("lib/python*/site-packages")) for root in (place, sys.prefix))
        for script in Path(sys.prefix, "bin").iterdir():
            if script.is_file() and script.read_bytes().startswith(f"#!{sys.prefix}/bin/python".encode()):
                (place / "bin" / script.name).write_text(f"#!{self.python}\n{script.read_text().partition(chr(10))[2]}")
                (place / "bin" / script.name).chmod(0o755)
        # Two mutants with the same size and second would share their byte code, so none is written.
        (own / "mutants.pth").write_text(
            f"import sys; sys.dont_write_bytecode = True\n{self.repository}\nimport site; site.addsitedir({str(installed)!r})\n"
        )

    def start(self) -> subprocess.Popen[str]:
        """Start a worker in it."""
        command = [*read_only_root(), self.python, HERE / "worker.py"]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.repository, stdin=pipe, stdout=pipe, text=True)


def read_only_root() -> list[str]:
    """Return the start of a command line that may write below the temporary directory only.

    A mutant may build any path. As another user than root it can only reach what that user owns.
    """
    if os.geteuid() != 0:
        return []
    tmp = tempfile.gettempdir()
    prepare = f'mount --make-rprivate / && mount --bind {tmp} {tmp} && mount -o remount,bind,ro / && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", prepare, "sh"]


class Reach:
    """Which quick tests reach a line.

    lines: by module and line. called: the lines in functions, by module. quick: all tests. seconds: what each test takes.
    """

    def __init__(self, copy: Copy, modules: list[str]) -> None:
        self.called = {module: lines_in_functions((copy.repository / module).read_bytes()) for module in modules}
        output = copy.repository / ".reach.json"
        subprocess.run([copy.python, HERE / "reach.py", output], cwd=copy.repository, check=True)
        found = json.loads(output.read_text())
        self.lines, self.quick, self.seconds = found["lines"], found["quick"], found["seconds"]

    def tests(self, module: str, line: int) -> list[str]:
        """Return the tests for a mutant of that line in the order in which they run, the quickest of each group first.

        A line that runs when its module is imported, or in child processes alone, is reached by all tests of the module
        and of its folder.
        The coverage of such a line names only the test that imports the module first.
        """
        of_module = self.lines.get(module, {})
        folder = str(Path("tests", *Path(module).parts[1:-1]))
        own = f"{folder}/test_{Path(module).stem}.py::"
        reached = set(of_module.get(str(line), ()))
        if not reached or line not in self.called[module]:
            reached = {test for tests in of_module.values() for test in tests}
            nearby = own if folder == "tests" else f"{folder}/"
            reached |= {test for test in self.quick if test.startswith((nearby, OTHER_SYSTEMS))}
        first = {test for test in reached if test.startswith((own, OTHER_SYSTEMS))}
        near = {test for test in reached - first if folder != "tests" and os.path.dirname(test.partition("::")[0]) == folder}
        others = sorted(reached - first - near)
        drawn = random.Random(f"{SEED} {module} {line}").sample(others, min(DRAWN, len(others)))
        return [test for group in (first, near, drawn) for test in sorted(group, key=lambda test: (self.seconds[test], test))]

    def check(self, copy: Copy) -> None:
        """End where the tests do not pass without a mutant: each of them would count as killed."""
        worker = copy.start()
        if ask(worker, None, self.quick, self.limit(self.quick), MODULES[0]) != "passed":
            sys.exit((copy.repository / ".tests.log").read_text()[-2000:])
        worker.stdin.close()
        worker.wait()

    def limit(self, tests: list[str]) -> float:
        """Return the seconds after which these tests count as hung."""
        return LIMIT + 5 * sum(self.seconds[test] for test in tests)


def lines_in_functions(source: bytes) -> set[int]:
    """Return the lines that run when a function is called; all others run when the module is imported."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return {line for function in functions for line in range(function.body[0].lineno, (function.end_lineno or 0) + 1)}


def ask(worker: subprocess.Popen[str], mutant: Mutant | None, tests: list[str], limit: float, module: str) -> str:
    """Run tests in a worker, and return "passed", "failed" or "late"."""
    question = {"module": module, "source": mutant and mutant.source, "tests": tests, "limit": limit}
    worker.stdin.write(json.dumps(question) + "\n")
    worker.stdin.flush()
    answer: str = json.loads(worker.stdout.readline())
    return answer


def survivors(copies: list[Copy], reach: Reach, every: list[Mutant]) -> list[Mutant]:
    """Run the tests of every mutant, on all workers at once, and return those that no test noticed."""
    waiting: Queue[Mutant] = Queue()
    for mutant in every:
        waiting.put(mutant)
    alive = []

    def work(copy: Copy) -> None:
        worker = copy.start()
        try:
            while True:
                mutant = waiting.get_nowait()
                tests = reach.tests(mutant.module, mutant.line)
                if not tests or ask(worker, mutant, tests, reach.limit(tests), mutant.module) == "passed":
                    alive.append(mutant)
                    print(f"survived: {mutant.module}:{mutant.line}: {mutant.change}", flush=True)
        except Empty:
            return
        finally:
            worker.stdin.close()
            worker.wait()

    threads = [threading.Thread(target=work, args=(copy,)) for copy in copies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return alive


class Listed:
    """The survivors that have a reason, as they are listed when the run begins: an edit meanwhile is not mixed in."""

    def __init__(self) -> None:
        sections = SURVIVORS.read_text(encoding="utf-8").split("\n## ")[1:]
        self.changes = {module: ROW.findall(rows) for module, _, rows in (section.partition("\n") for section in sections)}

    def complaints(self, every: list[Mutant], alive: list[Mutant]) -> list[str]:
        """Return a line for each survivor that is not listed, and for each listed change that is no mutant."""
        made: dict[str, set[str]] = {mutant.module: set() for mutant in every}
        for mutant in every:
            made[mutant.module].add(mutant.change)
        return [
            *(f"not listed in {SURVIVORS.name}: {mutant.module}:{mutant.line}: `{mutant.change}`"
              for mutant in sorted(alive) if mutant.change not in self.changes.get(mutant.module, ())),
            *(f"listed in {SURVIVORS.name}, but no mutant: {module}: `{change}`"
              for module in made for change in self.changes.get(module, ()) if change not in made[module]),
            *(f"listed in {SURVIVORS.name}, but not tested: {module}" for module in self.changes if module not in MODULES),
        ]  # fmt: skip


def main(modules: list[str]) -> int:
    """Test the mutants of some modules, of all by default, and print the score of each."""
    begin, listed, modules = time.monotonic(), Listed(), modules or list(MODULES)
    every = [mutant for module in modules for mutant in mutants(REPOSITORY, module)]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = [Copy(Path(folder) / str(number)) for number in range(WORKERS)]
        reach = Reach(copies[0], modules)
        reach.check(copies[-1])
        alive = survivors(copies, reach, every)
    made, left = (Counter(mutant.module for mutant in some) for some in (every, alive))
    width = max(map(len, made))
    for module in made:
        print(f"{module:{width}} {made[module]:4} mutants, {100 * (1 - left[module] / made[module]):5.1f} % killed")
    score = 100 * (1 - len(alive) / len(every))
    print(f"{'all':{width}} {len(every):4} mutants, {score:5.1f} % killed, {(time.monotonic() - begin) / 60:.0f} min")
    complaints = listed.complaints(every, alive)
    for complaint in complaints:
        print(complaint)
    return int(score < GOAL or bool(complaints))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
