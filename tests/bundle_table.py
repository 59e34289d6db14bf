"""TensorFlow's checkpoint index as bytes, for tests that need one which TensorFlow itself would never write.

It is a table in LevelDB's format: blocks of sorted keys and values, each block with a checksum; a block that says where
they are; a footer that says where that is. The values are protocol buffers.
"""

MAGIC = bytes.fromhex("57fb808b247547db")
FOOTER_BYTES = 48


def _crc_of_bytes():
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


CRC_OF_BYTE = _crc_of_bytes()


def masked_crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_OF_BYTE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(number):
    """The variable-length form of a number; one below 0 is as two's complement has it."""
    number &= 2**64 - 1
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, at


def handle(offset, size):
    return varint(offset) + varint(size)


def block(entries):
    """The bytes of a block without its checksum, each key in full."""
    body, restarts = b"", []
    for key, value in entries:
        restarts.append(len(body))
        body += varint(0) + varint(len(key)) + varint(len(value)) + key + value
    restarts = restarts or [0]
    return body + b"".join(at.to_bytes(4, "little") for at in [*restarts, len(restarts)])


def entries_of_block(data):
    end = len(data) - 4 - 4 * int.from_bytes(data[-4:], "little")
    at, key, entries = 0, b"", []
    while at < end:
        shared, at = read_varint(data, at)
        fresh, at = read_varint(data, at)
        length, at = read_varint(data, at)
        key = key[:shared] + data[at : at + fresh]
        at += fresh
        entries.append((key, data[at : at + length]))
        at += length
    return entries


def read_table(data):
    """The entries of a whole table, (key, value) each."""
    footer, at, numbers = data[-FOOTER_BYTES:], 0, []
    for _ in range(4):
        number, at = read_varint(footer, at)
        numbers.append(number)
    offset, size = numbers[2:]
    entries = []
    for _, where in entries_of_block(data[offset : offset + size]):
        offset, at = read_varint(where, 0)
        size, _ = read_varint(where, at)
        entries += entries_of_block(data[offset : offset + size])
    return entries


def sealed(content, compression=0):
    """A block with what stands behind it: how it is compressed, and the checksum of both."""
    content += bytes([compression])
    return content + masked_crc32c(content).to_bytes(4, "little")


def table(content, compression=0, where=None, footer=None):
    """A table of one block of entries, all checksums right.

    Args:
        content: the bytes of the block.
        compression: what the block says of itself.
        where: offset and size of the block, if not the true ones.
        footer: offsets and sizes of the last two blocks, if not the true ones.
    """
    meta, index = block([]), block([(b"\xff", handle(*(where or (0, len(content)))))])
    data = sealed(content, compression)
    handles = handle(len(data), len(meta))
    data += sealed(meta)
    handles += handle(len(data), len(index))
    return data + sealed(index) + (footer or handles)[:40].ljust(40, b"\0") + MAGIC
