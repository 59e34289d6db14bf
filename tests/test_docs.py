"""The pages: every link leads somewhere, and the map of the package names what is there."""

import re

import pytest
from conftest import ROOT
from test_structure import FLOORS

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]


def anchors(page):
    """What the headings of a page are called in links to them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.is_file(), link
            assert not anchor or anchor in anchors(target), link


def test_every_page_is_reached_from_the_readme():
    linked = set(re.findall(r"\]\((?:docs/)?([\w-]+\.md)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert {page.name for page in PAGES} - {"README.md"} <= linked


def test_the_map_of_the_package_names_each_module():
    rows = re.findall(r"^\| `(\w+)/` \|.*\| (.+) \|$", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    for folder, files in rows:
        there = {path for path in (ROOT / "samplernn" / folder).rglob("*.py") if path.name != "__init__.py"}
        named = set(re.findall(r"`([\w/]+)`", files))
        assert named == {str(path.relative_to(ROOT / "samplernn" / folder).with_suffix("")) for path in there}
    assert [folder for folder, _ in rows] == FLOORS
