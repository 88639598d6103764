# SPDX-License-Identifier: BSD-3-Clause
"""Random, merged and broken messages against protobuf's Python implementation: both must
accept the same bytes and read the same values. argv[1]: the roundtrip driver."""

import os
import random
import struct
import subprocess
import sys
import warnings

import peer
from google.protobuf.descriptor import FieldDescriptor as F
from google.protobuf.message import DecodeError

(shared, everything) = peer.modules("shared", "everything")
Every = everything.Every
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1


def scalar(r, f):
    t = f.type
    if t in (F.TYPE_DOUBLE, F.TYPE_FLOAT):
        v = r.choice([0.0, -0.0, 1.5, float("inf"), float("nan"), r.random() * 1e30])
        return struct.unpack("<f", struct.pack("<f", v))[0] if t == F.TYPE_FLOAT else v
    if t == F.TYPE_BOOL:
        return r.random() < 0.5
    if t == F.TYPE_STRING:
        n = r.choice([0, 1, 2, 7, 8, 9, 100] + [3000] * (r.random() < 0.05))
        return "".join(r.choice("aZ0 \u00e9\u20ac\U0001f600") for _ in range(n))
    if t == F.TYPE_BYTES:
        return r.randbytes(r.choice([0, 1, 8, 9, 40]))
    if t == F.TYPE_ENUM:
        return r.choice([v.number for v in f.enum_type.values] + [12345, -1])
    bits = 64 if "64" in {
        F.TYPE_INT64: "64", F.TYPE_UINT64: "64", F.TYPE_FIXED64: "64", F.TYPE_SFIXED64: "64",
        F.TYPE_SINT64: "64"}.get(t, "32") else 32
    signed = t not in (F.TYPE_UINT32, F.TYPE_UINT64, F.TYPE_FIXED32, F.TYPE_FIXED64)
    v = r.choice([0, 1, 127, 128, r.getrandbits(bits), (1 << bits) - 1, 1 << (bits - 1)])
    return v - (1 << bits) if signed and v >> (bits - 1) else v


def fill(r, m, depth, share):
    for f in m.DESCRIPTOR.fields:
        if r.random() > share:
            continue
        if f.label == F.LABEL_REPEATED:
            target = getattr(m, f.name)
            count = r.choice([1, 2, 3, 9] + [2000] * (r.random() < 0.01))
            if f.message_type and f.message_type.GetOptions().map_entry:
                k, v = f.message_type.fields_by_name["key"], f.message_type.fields_by_name["value"]
                for _ in range(min(count, 9)):
                    if v.message_type:
                        sub = target[scalar(r, k)]
                        if depth > 0:
                            fill(r, sub, depth - 1, share / 3)
                    else:
                        target[scalar(r, k)] = scalar(r, v)
            elif f.message_type:
                for _ in range(min(count, 9)):
                    sub = target.add()
                    if depth > 0:
                        fill(r, sub, depth - 1, share / 3)
            else:
                target.extend(scalar(r, f) for _ in range(count))
        elif f.message_type:
            sub = getattr(m, f.name)
            sub.SetInParent()
            if depth > 0:
                fill(r, sub, depth - 1, share / 3)
        else:
            setattr(m, f.name, scalar(r, f))
    return m


def varint(v):
    out = b""
    while v >= 0x80:
        out += bytes([v & 0x7f | 0x80])
        v >>= 7
    return out + bytes([v])


def unknown(r, depth=3):
    number = r.choice([20, 39, 99, 1000, 70000])
    wire = r.choice([0, 1, 2, 3, 5])
    tag = varint(number << 3 | wire)
    if wire == 3:
        inner = b"".join(unknown(r, depth - 1) for _ in range(r.randrange(3))) if depth else b""
        return tag + inner + varint(number << 3 | 4)
    return tag + {0: varint(r.getrandbits(64)), 1: r.randbytes(8), 5: r.randbytes(4),
                  2: varint(5) + r.randbytes(5)}[wire]


def broken(r, data):
    data = bytearray(data)
    for _ in range(r.choice([1, 1, 2, 5])):
        if not data:
            break
        at = r.randrange(len(data))
        how = r.randrange(4)
        if how == 0:
            data[at] ^= 1 << r.randrange(8)
        elif how == 1:
            del data[at:at + r.choice([1, 2, 10])]
        elif how == 2:
            data[at:at] = r.randbytes(r.choice([1, 2, 10]))
        else:
            del data[at:]
    return bytes(data)


def samples(r):
    yield b""
    for i in range(750):
        data = fill(r, Every(), 3, r.choice([0.02, 0.1, 0.3, 0.9])).SerializeToString()
        kind = i % 5
        if kind == 1:  # parsing a concatenation is merging
            data += fill(r, Every(), 2, 0.3).SerializeToString()
        elif kind == 2:
            data = unknown(r) + data + unknown(r) + unknown(r)
        elif kind >= 3:
            if len(data) > 400:
                data = fill(r, Every(), 1, 0.05).SerializeToString()
            data = broken(r, data)
        yield data


def value(f, v):
    if f.message_type:
        return values(v)
    return struct.pack("<d", v) if isinstance(v, float) else v  # NaN is not equal to itself


def values(m):
    """The known fields; unknown ones are skipped by us and kept by Python."""
    out = []
    for f, v in m.ListFields():
        if f.message_type and f.message_type.GetOptions().map_entry:
            sub = f.message_type.fields_by_name["value"]
            v = {k: value(sub, x) for k, x in v.items()}
        elif f.label == F.LABEL_REPEATED:
            v = [value(f, x) for x in v]
        else:
            v = value(f, v)
        out.append((f.name, v))
    return out


def parse(data):
    m = Every()
    # At the end of a group that has no start Python stops with a warning; it is malformed.
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            m.ParseFromString(data)
        except DecodeError:
            return None
    return None if told else values(m)


def different(data, rc, got):
    """What is wrong, or None."""
    want = parse(data)
    if rc != 0 and got in (b"bad tag", b"nested too deeply"):
        return None  # tags of more than 32 bits are cut by some; the root counts as a level here
    if want is None or rc != 0:
        return None if want is None and rc != 0 else f"we say {rc} {got}, Python otherwise"
    return None if parse(got) == want else f"became {got.hex()}"


def main():
    r = random.Random(SEED)
    inputs = list(samples(r))
    stdin = b"".join(struct.pack("<I", len(d)) + d for d in inputs)
    out = subprocess.run([sys.argv[1]], input=stdin, stdout=subprocess.PIPE, check=True).stdout
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # protobuf logs each refusal
    at, accepted = 0, 0
    for data in inputs:
        rc, n = struct.unpack_from("<iI", out, at)
        got = out[at + 8:at + 8 + n]
        at += 8 + n
        why = different(data, rc, got)
        if why:
            print(f"seed {SEED}: {data.hex()}: {why}")
            sys.exit(1)
        accepted += rc == 0
    print(f"seed {SEED}: {accepted} of {len(inputs)} accepted, Python agrees")
    if at != len(out) or not 450 < accepted < 700:
        sys.exit(1)


main()
