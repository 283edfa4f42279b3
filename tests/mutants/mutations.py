"""A mutant is the source of a module with one small change, made by the operators of cosmic-ray."""

from __future__ import annotations

import ast
import difflib
from typing import TYPE_CHECKING, NamedTuple

from cosmic_ray.ast import Visitor, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Each comparison is negated and its bound is moved; each calculation gets one other operator. More alternatives for
# the same place are killed by the same tests and cost their time again.
COMPARISONS = "Eq_NotEq NotEq_Eq Is_IsNot IsNot_Is Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt".split()
CALCULATIONS = "Add_Sub Sub_Add Mul_Div Div_Mul FloorDiv_Mul Mod_Add Pow_Mul BitAnd_BitOr BitOr_BitAnd".split()
OTHERS = (
    "AddNot ExceptionReplacer NumberReplacer RemoveDecorator ReplaceAndWithOr ReplaceOrWithAnd ReplaceTrueWithFalse "
    "ReplaceFalseWithTrue ReplaceBreakWithContinue ReplaceContinueWithBreak ReplaceUnaryOperator_Delete_Not "
    "ReplaceUnaryOperator_USub_UAdd ZeroIterationForLoop"
).split()
OPERATORS = (
    *(f"core/ReplaceComparisonOperator_{name}" for name in COMPARISONS),
    *(f"core/ReplaceBinaryOperator_{name}" for name in CALCULATIONS),
    *(f"core/{name}" for name in OTHERS),
)


class Mutant(NamedTuple):
    """One changed copy of a module. module: its path in the repository. change: the lines before and after, uncommented."""

    module: str
    line: int
    change: str
    source: str


class _Places(Visitor):
    """Collects the line of each place that an operator changes, in the order of the operator's numbers."""

    def __init__(self, operator):
        self.operator, self.lines = operator, []

    def visit(self, node):
        self.lines += [start[0] for start, _ in self.operator.mutation_positions(node)]
        return node


def mutants(repository: Path, module: str) -> Iterator[Mutant]:
    """Yield the mutants of a module: each differs from the source and from every other in more than annotations."""
    source = (repository / module).read_text(encoding="utf-8")
    seen = {_meaning(source)}
    for name in OPERATORS:
        operator = get_operator(name)()
        places = _Places(operator)
        places.walk(get_ast(source))
        for occurrence, line in enumerate(places.lines):
            mutated = mutate_code(source, operator, occurrence)
            try:
                meaning = _meaning(mutated)
            except SyntaxError:  # the operator took the star of an argument for a multiplication
                continue
            if meaning in seen:
                continue
            seen.add(meaning)
            yield Mutant(module, line, _change(source, mutated), mutated)


def _change(source: str, mutated: str) -> str:
    lines = difflib.ndiff(source.splitlines(), mutated.splitlines())
    before, after = [], []
    for line in lines:
        if line.startswith(("- ", "+ ")):
            (before if line[0] == "-" else after).append(line[2:].partition("  # ")[0].strip())
    return f"{' '.join(before)} -> {' '.join(after)}"


class _Unannotated(ast.NodeTransformer):
    """Removes everything without effect at run time: annotations, kinds of parameters, code for type checkers."""

    def visit_FunctionDef(self, node):
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_arguments(self, node):
        node.args = [*node.posonlyargs, *node.args, *node.kwonlyargs]
        node.defaults = [*node.defaults, *filter(None, node.kw_defaults)]
        node.posonlyargs, node.kwonlyargs, node.kw_defaults = [], [], []
        return self.generic_visit(node)

    def visit_AnnAssign(self, node):
        return ast.Assign([node.target], node.value) if node.value else ast.Pass()

    def visit_If(self, node):
        typing_only = any(isinstance(part, ast.Name) and part.id == "TYPE_CHECKING" for part in ast.walk(node.test))
        return None if typing_only else self.generic_visit(node)

    def visit_Assign(self, node):
        typing_only = isinstance(node.targets[0], ast.Name) and node.targets[0].id == "TYPE_CHECKING"
        return None if typing_only else self.generic_visit(node)


def _meaning(source: str) -> str:
    return ast.dump(_Unannotated().visit(ast.parse(source)))
