"""The house: imports point down the list of folders, and in no circle; nothing lies beside the folders."""

import ast
import re
from graphlib import TopologicalSorter

import pytest
from conftest import ROOT

FLOORS = [
    "commands",
    "search",
    "evaluation",
    "gallery",
    "training",
    "generation",
    "checkpoints",
    "corpus",
    "models",
    "fetching",
    "midi",
    "audio",
    "options",
    "system",
]
PACKAGE = ROOT / "samplernn"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
}


def imported_by(path):
    """The modules of the package that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "samplernn":
            yield from ({node.module} if node.module in MODULES else {f"{node.module}.{a.name}" for a in node.names})
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("samplernn."))


def floor(module):
    return FLOORS.index(module.split(".")[1])


def test_nothing_lies_beside_the_folders():
    assert [path.name for path in PACKAGE.glob("*.py")] == ["__init__.py"]
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"} == set(FLOORS)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    imported = set(imported_by(MODULES[module])) - {"samplernn.__version__"}
    assert imported <= MODULES.keys()
    assert not [other for other in imported if floor(other) < floor(module)]


def test_imports_make_no_circle():
    order = TopologicalSorter({module: set(imported_by(path)) for module, path in MODULES.items()})
    assert set(order.static_order()) == MODULES.keys()  # CycleError names one that there is


# What only models/ knows: the names of families, and what is particular to one.
OF_A_FAMILY = re.compile(
    r"(?-i:SampleRNN)|^samplernn$|wavenet|predictor|vq_?vae|amae|piano_?roll|filter_length|num_stages|num_repeats|dilation|residual_size|inner_size|skip_size|tier|frame_?size|embedding|emb_size|lookback|rnn_|q_levels(?!$)",
    re.IGNORECASE,
)


def said_in(tree):
    """The names in a module, and its texts but for docstrings, each with its line."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value, node.lineno
        for name in ("id", "attr", "arg", "name", "module"):
            if isinstance(text := getattr(node, name, None), str):
                yield text.removeprefix("samplernn"), getattr(node, "lineno", 0)


@pytest.mark.parametrize("module", [module for module in MODULES if module.split(".")[1] != "models"])
def test_no_family_is_known_outside_the_models(module):
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    assert not [(text, line) for text, line in said_in(tree) if OF_A_FAMILY.search(text)]


def test_scripts_are_short_and_imported_by_nobody():
    scripts = {path.stem: path for path in ROOT.glob("*.py")}
    for name, path in scripts.items():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 40, name
    for path in MODULES.values():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not names & (scripts.keys() - {"keras_tuner"}), path  # whose name is the library's
