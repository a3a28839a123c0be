"""Imports follow the layers of the package, including imports inside functions.

The table of layers is in docs/architecture.md.
"""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "hornbeam"


@functools.cache
def parsed(path):
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text())


def rows_of_the_table():
    """Return the rows of the table under "The house", lowest first. Each row lists its paths."""
    text = (
        (ROOT / "docs" / "architecture.md").read_text().split("## The house")[1].split("\n## ")[0]
    )
    rows = [
        re.findall(r"`([^`]+)`", line.split("|")[1])
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    return [[path for path in row if path.endswith((".py", "/"))] for row in rows]


def modules_of(root):
    """Return the files of a package by module name."""
    found = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(module, path, modules):
    """Yield (imported module, line) for each import of a file, including those inside functions."""
    top = module.split(".")[0]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    tree = parsed(path)
    typing_only = {
        id(below)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for below in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{source}.{alias.name}" for alias in node.names]
        for name in names:
            while name.split(".")[0] == top and name not in modules and "." in name:
                name = name.rpartition(".")[0]
            if name in modules and name != module:
                yield name, node.lineno


@pytest.fixture(scope="module")
def modules():
    return modules_of(PACKAGE)


@pytest.fixture(scope="module")
def edges(modules):
    return {module: list(imports_of(module, path, modules)) for module, path in modules.items()}


def row_of(path, rows):
    """Return the index of the row with the longest path that matches the file."""
    name = path.relative_to(PACKAGE).as_posix()
    named = [
        (len(entry), i)
        for i, row in enumerate(rows)
        for entry in row
        if name == entry or name.startswith(entry)
    ]
    return max(named)[1] if named else None


def test_every_file_has_a_row(modules):
    rows = rows_of_the_table()
    missing = [
        str(path.relative_to(ROOT)) for path in modules.values() if row_of(path, rows) is None
    ]
    assert not missing, f"the table of docs/architecture.md names no row for {missing}"
    paths = [entry for row in rows for entry in row]
    absent = [entry for entry in paths if not (PACKAGE / entry).exists()]
    assert not absent, f"the table of docs/architecture.md names {absent}, which do not exist"
    assert len(paths) == len(set(paths))


def upward(edges, modules, rows):
    found = []
    for module, targets in sorted(edges.items()):
        low = row_of(modules[module], rows)
        for target, line in targets:
            high = row_of(modules[target], rows)
            if high > low:
                here, there = modules[module].relative_to(ROOT), modules[target].relative_to(ROOT)
                found.append(f"{here}:{line} (row {low + 1}) imports {there} (row {high + 1})")
    return found


def test_imports_point_down(edges, modules):
    found = upward(edges, modules, rows_of_the_table())
    assert not found, "\n".join(found)


def circles(edges):
    """Return the sets of modules that import each other in a cycle (Tarjan 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for target, _ in edges.get(node, ()):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            at = stack.index(node)
            found.append(stack[at:])
            del stack[at:]

    for node in edges:
        if node not in index:
            visit(node)
    return [sorted(circle) for circle in found if len(circle) > 1]


def test_no_file_imports_itself_by_way_of_others(edges, modules):
    lines = []
    for circle in circles(edges):
        for module in circle:
            lines += [
                f"{modules[module].relative_to(ROOT)}:{line} imports {target}"
                for target, line in edges[module]
                if target in circle
            ]
    assert not lines, "these imports close a circle:\n" + "\n".join(lines)


# Heavy or optional packages. JAX's interface to cuDNN is needed only on GPUs.
HEAVY = (
    "h5py matplotlib rich scipy pandas flax optax yaml tensorboardX pydot torch tensorflow keras"
    " PIL hornbeam_cpu".split()
)
HEAVY += ["jax.experimental", "jax.experimental.layout"]


def test_imports_inside_functions_are_for_weight(modules):
    """Files import at the top. Only heavy or optional packages are imported inside functions."""
    found = []
    for path in modules.values():
        for function in ast.walk(parsed(path)):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            for node in ast.walk(function):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
                found += [
                    f"{path.relative_to(ROOT)}:{node.lineno} imports {name}"
                    for name in names
                    if name.split(".")[0] not in HEAVY and name not in HEAVY
                ]
    assert not found, "\n".join(sorted(set(found)))


def test_these_tests_see_what_they_look_for(tmp_path):
    """A package of three files, with one violation of each kind."""
    package = tmp_path / "house"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "low.py").write_text("def f():\n    from house import high\n")
    (package / "high.py").write_text("from . import middle\n")
    (package / "middle.py").write_text("import house.low\n")
    modules = modules_of(package)
    edges = {module: list(imports_of(module, path, modules)) for module, path in modules.items()}
    assert circles(edges) == [["house.high", "house.low", "house.middle"]]
    assert edges["house.low"] == [("house.high", 2)]


def private_reaches(path):
    """Yield the lines of a file that access a private attribute which the file does not define."""
    tree = parsed(path)
    defined = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            defined.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
    for node in ast.walk(tree):
        if (
            not isinstance(node, ast.Attribute)
            or not node.attr.startswith("_")
            or node.attr.startswith("__")
        ):
            continue
        holder = ast.unparse(node.value)
        own = holder in ("self", "cls", "jax", "dis", "os", "sys") or holder.startswith(
            ("super(", "type(")
        )
        named_tuple = node.attr in ("_asdict", "_fields", "_replace")  # public methods
        if not own and not named_tuple and node.attr not in defined:
            yield f"{path.relative_to(ROOT)}:{node.lineno} {holder}.{node.attr}"


def test_few_files_touch_what_is_private_to_others(modules):
    """Modules use each other's public names.

    The exceptions are modules of one row and Keras's names.
    """
    found = [line for path in modules.values() for line in private_reaches(path)]
    assert len(found) < 30, "\n".join(found)
