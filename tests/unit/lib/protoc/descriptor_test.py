# SPDX-License-Identifier: BSD-3-Clause
"""The plug-in's hand-written descriptor tables against protobuf's own: numbers, types and labels
of the fields, and what is read from `protoc --descriptor_set_out`. argv[1]: the dump driver."""

import glob
import os
import subprocess
import sys
import tempfile

import peer
from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2
from google.protobuf.descriptor import FieldDescriptor as F


def check_table(lines):
    """The table as {message: {field: has presence}}."""
    known = {}
    pools = [descriptor_pb2.DESCRIPTOR, plugin_pb2.DESCRIPTOR]
    real = {}
    for m in [m for p in pools for m in p.message_types_by_name.values()]:
        real[m.full_name] = m
        real.update({n.full_name: n for n in m.nested_types})
    for line in lines:
        message, name, number, kind, repeated, presence, nested = line.split()[1:]
        f = real[message].fields_by_name[name]
        want = (f.number, f.type, int(f.label == F.LABEL_REPEATED),
                f.message_type.full_name if f.message_type else "-")
        got = (int(number), int(kind), int(repeated), nested)
        assert got == want, f"{message}.{name}: table {got}, protobuf {want}"
        known.setdefault(message, {})[name] = presence == "1"
    assert len(known) == 15
    return known


def dump(known, path, m, out):
    fields = known.get(m.DESCRIPTOR.full_name, {})
    for f in sorted(m.DESCRIPTOR.fields, key=lambda f: f.number):
        if f.name not in fields:
            continue
        v = getattr(m, f.name)
        if f.label != F.LABEL_REPEATED:
            if not (m.HasField(f.name) and (v or f.message_type or fields[f.name])):
                continue
            v = [v]
        for i, x in enumerate(v):
            if f.message_type:
                dump(known, f"{path}.{f.name}[{i}]", x, out)
            else:
                x = x.encode().hex() if isinstance(x, str) else int(x)
                out.append(f"V {path}.{f.name}[{i}]={x}")


def main():
    include = [d for d in ("/usr/include", "/usr/local/include")
               if os.path.exists(d + "/google/protobuf/descriptor.proto")]
    files = ["everything.proto", "shared.proto"]
    for d in include:
        files += [os.path.relpath(p, d) for p in glob.glob(d + "/google/protobuf/*.proto")]
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run(
            ["protoc", "-I" + peer.HERE] + ["-I" + d for d in include] +
            ["--include_imports", "--include_source_info", "--descriptor_set_out=" + tmp + "/set"] +
            files, check=True)
        with open(tmp + "/set", "rb") as f:
            data = f.read()
    lines = subprocess.run([sys.argv[1]], input=data, stdout=subprocess.PIPE,
                           check=True).stdout.decode().splitlines()
    known = check_table([x for x in lines if x.startswith("T ")])
    want = []
    dump(known, "", descriptor_pb2.FileDescriptorSet.FromString(data), want)
    got = [x for x in lines if x.startswith("V ")]
    for a, b in zip(got, want):
        if a != b:
            sys.exit(f"we read {a}, protobuf {b}")
    assert len(got) == len(want) > 400, (len(got), len(want))
    print(len(got), "values of", len(files), "files alike")


main()
