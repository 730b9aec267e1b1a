"""CRC-64 as OSS computes it, of whole bodies."""

import crcmod


def crc64(data, before=0):
    """ECMA-182, reflected, inverted before and after: the decimal text of `x-oss-hash-crc64ecma`."""
    return str(crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=before, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)(data))
