# SPDX-License-Identifier: BSD-3-Clause
"""protoc-gen-phoenix as its users run it: generated code compiles everywhere, is the same each
time, and bad input is refused with a reason. argv: plug-in, include folders..."""

import os
import shutil
import subprocess
import sys
import tempfile

import peer

PLUGIN, INCLUDES = os.path.abspath(sys.argv[1]), sys.argv[2:]
WARN = ["-Wall", "-Wextra", "-Wmissing-prototypes", "-Wstrict-prototypes", "-Wshadow", "-Wvla",
        "-Werror", "-pedantic"]


def protoc(out, folder, *files, parameter=""):
    return subprocess.run(
        ["protoc", "--plugin=protoc-gen-phoenix=" + PLUGIN, "-I" + folder,
         "--phoenix_out=" + parameter + out] + list(files),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def generate(tmp, text, name="x.proto"):
    """Run on one file of this text; (exit code, output)."""
    path = os.path.join(tmp, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    r = protoc(tmp, tmp, name)
    return r.returncode, r.stdout


def compiles(tmp, *files):
    flags = ["-I" + tmp] + ["-I" + i for i in INCLUDES]
    ran = 0
    for cc in ("gcc", "clang"):
        if not shutil.which(cc):
            continue
        for f in files:
            for std in ("-std=c11", "-std=gnu2x"):
                for opt in ("-O0", "-O2"):
                    subprocess.run([cc, std, opt, "-c", "-o", "/dev/null"] + WARN + flags +
                                   [os.path.join(tmp, f)], check=True)
        ran += 1
    for cxx in ("g++", "clang++"):
        if not shutil.which(cxx):
            continue
        for f in files:
            header = f.replace(".phx.c", ".phx.h")
            for std in ("-std=c++11", "-std=c++20"):
                subprocess.run([cxx, std, "-x", "c++", "-c", "-o", "/dev/null", "-Wall", "-Wextra",
                                "-Werror", "-Wno-return-type-c-linkage", "-pedantic"] + flags +
                               ["-"], input=f'#include "{header}"\n', text=True, check=True)
        ran += 1
    assert ran > 0, "no compiler"


def test_everything_compiles_and_is_deterministic(tmp):
    a, b = tmp + "/a", tmp + "/b"
    os.mkdir(a)
    os.mkdir(b)
    r = protoc(a, peer.HERE, "everything.proto", "shared.proto")
    assert r.returncode == 0, r.stdout
    assert "warning: no stubs are generated for the streaming method test.every.First.Watch" \
        in r.stdout, r.stdout
    compiles(a, "everything.phx.c", "shared.phx.c")
    # the other order, one at a time
    assert protoc(b, peer.HERE, "shared.proto").returncode == 0
    assert protoc(b, peer.HERE, "everything.proto").returncode == 0
    names = sorted(os.listdir(a))
    assert names == ["everything.phx.c", "everything.phx.h", "shared.phx.c", "shared.phx.h"], names
    for name in names:
        with open(a + "/" + name, "rb") as x, open(b + "/" + name, "rb") as y:
            assert x.read() == y.read(), name + " differs"


def test_odd_files_compile(tmp):
    code, out = generate(tmp, 'syntax = "proto3";')
    assert code == 0, out
    code, out = generate(tmp, 'syntax = "proto3"; message A { B b = 1; } message B { A a = 1; '
                              'repeated A as = 2; map<string, B> m = 3; }', "sub/1-dir.file.proto")
    assert code == 0, out
    code, out = generate(tmp, 'syntax = "proto3"; import "sub/1-dir.file.proto"; message C { '
                              'oneof o { A a = 1; float f = 2; } repeated B b = 3; } '
                              'service S { rpc R(A) returns (B); }', "sub/user.proto")
    assert code == 0, out
    compiles(tmp, "x.phx.c", "sub/1-dir.file.phx.c", "sub/user.phx.c")


def test_streams_beside_unary_methods_leave_those_whole(tmp):
    code, out = generate(tmp, '''syntax = "proto3";
        option java_multiple_files = true;
        option java_package = "org.example";
        option objc_class_prefix = "HLW";
        package helloworld;
        service Greeter {
          rpc SayHello (HelloRequest) returns (HelloReply) {}
          rpc SayHelloStreamReply (HelloRequest) returns (stream HelloReply) {}
          rpc SayHelloBidiStream (stream HelloRequest) returns (stream HelloReply) {}
        }
        message HelloRequest { string name = 1; }
        message HelloReply { string message = 1; }''', "helloworld.proto")
    assert code == 0, out
    assert out.count("no stubs are generated") == 2, out
    with open(tmp + "/helloworld.phx.h") as f:
        header = f.read()
    assert "static inline int helloworld_Greeter_SayHello(" in header
    assert "static inline int helloworld_Greeter_SayHelloStreamReply(" not in header
    assert "(*SayHello)(" in header and "(*SayHelloBidiStream)(" not in header
    assert "helloworld_Greeter_method_SayHelloBidiStream = 2" in header
    compiles(tmp, "helloworld.phx.c")
    greeter = os.path.join(peer.HERE, "../../../../doc/examples/greeter")
    flags = ["-I" + tmp] + ["-I" + i for i in INCLUDES]
    for role in ("client", "server"):
        subprocess.run(["gcc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"] + flags +
                       [os.path.join(greeter, f"greeter_{role}.c")], check=True)


def test_proto2_is_refused_by_name(tmp):
    for text, word in (('syntax = "proto2"; message A { optional int32 a = 1; }', "proto2"),
                       ('message A { optional int32 a = 1; }', "proto2")):
        code, out = generate(tmp, text, "old.proto")
        assert code != 0 and "old.proto" in out and word in out, out
        assert "Unimplemented" not in out and not os.path.exists(tmp + "/old.phx.h")


def test_proto2_import_is_only_refused_when_used(tmp):
    generate(tmp, 'syntax = "proto2"; import "google/protobuf/descriptor.proto"; '
                  'extend google.protobuf.FieldOptions { optional string tag = 50000; } '
                  'message Old { optional int32 a = 1; }', "old.proto")
    code, out = generate(tmp, 'syntax = "proto3"; import "old.proto"; '
                              'message A { int32 a = 1 [(tag) = "x"]; }', "new.proto")
    assert code == 0, out
    compiles(tmp, "new.phx.c")
    code, out = generate(tmp, 'syntax = "proto3"; import "old.proto"; message A { Old o = 1; }',
                         "bad.proto")
    assert code != 0 and "A.o has the proto2 type Old" in out, out


def test_colliding_names_are_refused(tmp):
    for fields, one, two, name in (
            ("int32 x = 1; int32 set_x = 2;", "field x of M", "field set_x of M", "M_set_x"),
            ("repeated int32 x = 1; int32 x_count = 2;", "field x of M", "field x_count of M",
             "M_x_count"),
            ("int32 phx_type = 1;", "message M", "field phx_type of M", "M_phx_type")):
        code, out = generate(tmp, 'syntax = "proto3"; message M { %s }' % fields)
        assert code != 0 and "x.proto" in out and one in out and two in out and name in out, out
    code, out = generate(tmp, 'syntax = "proto3"; message A_B {} message A { message B {} }')
    assert code != 0 and "both need struct A_B" in out, out


def test_limits_and_parameters_are_refused(tmp):
    code, out = generate(tmp, 'syntax = "proto3"; message M { int32 %s = 1; }' % ("a" * 300))
    assert code != 0 and "the service would refuse this file" in out, out
    generate(tmp, 'syntax = "proto3"; message M {}')
    r = protoc(tmp, tmp, "x.proto", parameter="fast:")
    assert r.returncode != 0 and "unknown parameter: fast" in r.stdout, r.stdout


def test_broken_requests_are_answered(tmp):
    for data in (b"\xff", b"\x7a\x05ab", b"\x0a\x03abc"):
        r = subprocess.run([PLUGIN], input=data, stdout=subprocess.PIPE, check=True)
        assert r.stdout.startswith(b"\x0a"), r.stdout  # field 1: error
    assert b"abc: not in the request" in r.stdout
    # nothing to do: announces FEATURE_PROTO3_OPTIONAL
    assert subprocess.run([PLUGIN], input=b"", stdout=subprocess.PIPE).stdout == b"\x10\x01"
    assert subprocess.run([PLUGIN, "--version"], stdout=subprocess.PIPE).returncode == 0
    assert subprocess.run([PLUGIN, "x"], stderr=subprocess.DEVNULL).returncode == 2


def main():
    for name, test in sorted(globals().items()):
        if name.startswith("test_"):
            with tempfile.TemporaryDirectory() as tmp:
                test(tmp)
            print("ok", name)


main()
