"""What a user of fetch_audio.py may set."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from samplernn.options.chunk_audio import ChunkOptions
from samplernn.options.option import option, with_default
from samplernn.options.values import ADDRESS_OF_PAGE, PATH, SAMPLE_RATE, optional, several


@dataclass(frozen=True)
class FetchOptions:
    """The options of fetch_audio.py."""

    url: tuple[str, ...] = option(
        MISSING,
        several(ADDRESS_OF_PAGE),
        "addresses of pages, playlists, RSS feeds or files",
        repeatable=True,
    )
    output_dir: str = option(MISSING, PATH, "folder for the recordings, WAV files, several of one address in a folder")
    sample_rate: int | None = option(
        None, optional(SAMPLE_RATE), "sample rate of the WAV files, Hz", "the recording's own"
    )
    mono: bool = with_default(ChunkOptions, "mono", False)
