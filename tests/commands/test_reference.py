"""docs/reference.md says what the commands take."""

from conftest import ROOT

from samplernn.commands import reference


def test_the_page_is_of_this_version():
    made_by = "python -m samplernn.commands.reference > docs/reference.md makes it anew"
    assert (ROOT / "docs" / "reference.md").read_text(encoding="utf-8") == reference.page(), made_by
