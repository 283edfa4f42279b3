"""Mutation testing of the modules that carry the promises: `make mutants`.

Each mutant meets the quick tests that reach its line, those of the module's own test file first, and of all others at
most `DRAWN`, drawn by a fixed seed. A survivor is listed with its reason in tests/SURVIVORS.md. Exit status 1 means that
fewer than `GOAL` per cent were killed, or that a survivor is not listed.
"""

from __future__ import annotations

import json
import os
import random
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
        "consent", "facts/admission", "system/directory", "system/trusted_path", "system/file_names", "delivery/outbox",
        "delivery/outbox_files", "delivery/pending_report", "run/job", "run/run", "run/marker",
        "system/private_files", "delivery/exporters/project_sender", "delivery/exporters/http",
        "delivery/exporters/connection",
    )
)  # fmt: skip
WORKERS = 2
DRAWN = 60
SEED = 20261124
GOAL = 90
LIMIT = 20.0  # seconds for the tests of a mutant, beside five times what they take by themselves
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".*cache*", "__pycache__", ".hypothesis")


class Copy:
    """A copy of the repository with an interpreter that imports the package from it, in child processes too."""

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
        # Two mutants of one size within a second would share their byte code, so there is none.
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
    """Which tests reach a line. lines: by module and line. seconds: what each test takes."""

    def __init__(self, copy: Copy) -> None:
        output = copy.repository / ".reach.json"
        subprocess.run([copy.python, HERE / "reach.py", output], cwd=copy.repository, check=True)
        found = json.loads(output.read_text())
        self.lines, self.seconds = found["lines"], found["seconds"]

    def tests(self, module: str, line: int) -> list[str]:
        """Return the tests for a mutant of that line, the module's own first, the quickest first.

        A line that runs when its module is imported, or in child processes alone, is reached by all tests of the module.
        """
        of_module = self.lines.get(module, {})
        reached = of_module.get(str(line)) or sorted({test for tests in of_module.values() for test in tests})
        own = str(Path("tests", *Path(module).parts[1:-1], f"test_{Path(module).stem}.py::"))
        others = [test for test in reached if not test.startswith(own)]
        drawn = random.Random(f"{SEED} {module} {line}").sample(others, min(DRAWN, len(others)))
        fast = lambda tests: sorted(tests, key=self.seconds.__getitem__)  # noqa: E731 -- one expression
        return [*fast(test for test in reached if test.startswith(own)), *fast(drawn)]

    def check(self, copy: Copy) -> None:
        """End where the tests do not pass without a mutant: each of them would count as killed."""
        tests = sorted({test for lines in self.lines.values() for some in lines.values() for test in some})
        worker = copy.start()
        if ask(worker, None, tests, self.limit(tests), MODULES[0]) != "passed":
            sys.exit((copy.repository / ".tests.log").read_text()[-2000:])
        worker.stdin.close()
        worker.wait()

    def limit(self, tests: list[str]) -> float:
        """Return the seconds after which these tests count as hung."""
        return LIMIT + 5 * sum(self.seconds[test] for test in tests)


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


def main(modules: list[str]) -> int:
    """Test the mutants of some modules, of all by default, and print the score of each."""
    begin = time.monotonic()
    every = [mutant for module in modules or MODULES for mutant in mutants(REPOSITORY, module)]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = [Copy(Path(folder) / str(number)) for number in range(WORKERS)]
        reach = Reach(copies[0])
        reach.check(copies[-1])
        alive = survivors(copies, reach, every)
    made, left = (Counter(mutant.module for mutant in some) for some in (every, alive))
    for module in made:
        print(f"{module:34} {made[module]:4} mutants, {100 * (1 - left[module] / made[module]):5.1f} % killed")
    score = 100 * (1 - len(alive) / len(every))
    print(f"{'all':34} {len(every):4} mutants, {score:5.1f} % killed, {(time.monotonic() - begin) / 60:.0f} min")
    sections = SURVIVORS.read_text(encoding="utf-8").split("\n## ")
    listed = {module: rows for module, _, rows in (section.partition("\n") for section in sections)}
    unlisted = [mutant for mutant in alive if f"`{mutant.change}`" not in listed.get(mutant.module, "")]
    for mutant in sorted(unlisted):
        print(f"not listed in {SURVIVORS.name}: {mutant.module}:{mutant.line}: `{mutant.change}`")
    return int(score < GOAL or bool(unlisted))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
