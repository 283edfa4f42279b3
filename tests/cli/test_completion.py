"""What a shell completes, by its own script."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("otel-usage")
BASH = """
PATH={program.parent}:$PATH
eval "$(_OTEL_USAGE_COMPLETE=bash_source otel-usage)"
compopt() {{ [[ "$1 $2" == "-o nospace" ]] && echo nospace; }}
COMP_WORDS=({words}); COMP_CWORD=$(({at}))
_otel_usage_completion otel-usage
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def complete(shell):
    """Ask for the completions of a line, as a shell's script asks."""

    def ask(kind, *words):
        last = {} if kind != "fish" else {"COMP_CWORD": words[-1]}
        found = shell(_OTEL_USAGE_COMPLETE=f"{kind}_complete", COMP_WORDS=" ".join(["otel-usage", *words]),
                      **({"COMP_CWORD": str(len(words))} | last))  # fmt: skip
        assert found[0] == 0, found
        return found[1]

    return ask


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("otel-usage --app my", ["myengine"]),
        ("otel-usage status --app ''", ["myengine"]),
        ("otel-usage report --app = my", ["myengine"]),
        ("otel-usage ver", ["verify-off"]),
        ("otel-usage --app vllm report --set data_", ["nospace", "data_parallel_size="]),
        ("otel-usage report --app vllm --set data_", ["nospace", "data_parallel_size="]),
        ("otel-usage --app vllm preview --set dtype = torch", ["torch.float16", "torch.bfloat16", "torch.float32"]),
        ("otel-usage --app vllm preview --set enable_lora =", ["true", "false"]),
        ("otel-usage preview --set context =", ["UNKNOWN_CONTEXT", "API_SERVER", "BATCH_RUNNER"]),
        ("otel-usage preview --set quant", ["nospace", "quantization="]),
        ("otel-usage preview --set batch = ", [""]),
        ("otel-usage --app nope preview --set quant", [""]),
    ],
)
@pytest.mark.usefixtures("made_up_app")
def test_bash_completes(words, found):
    """By the script that the help names; `=` is a word of its own to bash, and behind it no space is put."""
    count = len(words.replace("''", "x").split())
    at = count - 1
    done = subprocess.run(["bash", "-c", BASH.format(program=PROGRAM, words=words, at=at)], capture_output=True, text=True, check=False)

    assert (done.stdout.splitlines(), done.stderr) == (found, "")


@pytest.mark.usefixtures("made_up_app")
@pytest.mark.parametrize(
    ("kind", "form"), [("zsh", "plain\n{}\n_\n"), ("fish", "plain,{}\n")],
)  # fmt: skip
def test_zsh_and_fish_are_answered(complete, kind, form):
    """In the form that click's scripts for them read."""
    answers = [complete(kind, "--app", "my"), complete(kind, "preview", "--set", "quantization=a")]

    assert answers == [form.format(word) for word in ("myengine", "quantization=awq")]


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell, kind):
    """That names the command."""
    status, out, err = shell(_OTEL_USAGE_COMPLETE=f"{kind}_source")

    assert (status, err) == (0, "")
    assert "otel-usage" in out
