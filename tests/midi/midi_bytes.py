"""MIDI files put together byte by byte, right and wrong ones, and three of Bach's chorales."""

from pathlib import Path
from struct import pack

CHORALES = sorted(Path(__file__).parent.glob("*.mid"))  # made with music21 from its corpus
END = b"\xff\x2f\0"
NOTE_ON, NOTE_OFF = 0x90, 0x80


def midi(*tracks, type_=1, division=480):
    """A file of tracks, each of (delta time, event)."""
    return b"MThd" + pack(">LhHh", 6, type_, len(tracks), division) + b"".join(map(chunk, tracks))


def chunk(events):
    content = b"".join(number(delta) + event for delta, event in events)
    return b"MTrk" + pack(">L", len(content)) + content


def number(value):
    """A number in as many bytes as it takes, of which all but the last say that it goes on."""
    content = bytes([value & 0x7F])
    while value := value >> 7:
        content = bytes([value & 0x7F | 0x80]) + content
    return content


def on(pitch, channel=0, velocity=64):
    return bytes([NOTE_ON | channel, pitch, velocity])


def off(pitch, channel=0):
    return bytes([NOTE_OFF | channel, pitch, 64])


def tempo(microseconds):
    return b"\xff\x51\x03" + microseconds.to_bytes(3, "big")


def with_running_status(events):
    """The same events, without the status of those that have that of the one before."""
    last, shorter = None, []
    for delta, event in events:
        status = event[0]
        shorter.append((delta, event[1:] if status == last else event))
        last = status if status < 0xF0 else None
    return shorter
