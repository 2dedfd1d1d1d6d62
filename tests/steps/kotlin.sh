#!/usr/bin/env bash
# Compiles the Kotlin bindings with the real Kotlin compiler and runs them on the JVM against a real server.
#
#   tests/steps/kotlin.sh WORK      WORK is a folder that may be kept: what was fetched and built stays there
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$1/kotlin
mkdir -p "$work"
version=0.19.0.944

# The compiler and the coroutines library come in one Python wheel.
if [[ ! -e $work/.fetched-$version ]]; then
    "$1/venv/bin/pip" download -q --disable-pip-version-check --no-deps -d "$work" "kotlin-jupyter-kernel==$version"
    (cd "$work" && unzip -qo ./*.whl -d wheel)
    touch "$work/.fetched-$version"
fi
jars=$work/wheel/run_kotlin_kernel/jars
compiler=$(ls "$jars"/kotlin-jupyter-kernel-*-all.jar)
stdlib=$(ls "$jars"/kotlin-stdlib-2*.jar)
tools=$compiler:$stdlib:$(ls "$jars"/kotlin-reflect-*.jar):$(ls "$jars"/kotlin-script-runtime-*.jar):$(ls "$jars"/annotations-*.jar)
jna=/usr/share/java/jna.jar
# A slim coroutines jar, so that the class path at run time does not carry the compiler.
if [[ ! -e $work/coroutines.jar ]]; then
    rm -rf "$work/coroutines" && mkdir "$work/coroutines"
    (cd "$work/coroutines" && unzip -q "$compiler" 'kotlinx/coroutines/*' 'META-INF/kotlinx-coroutines-core.kotlin_module' &&
        jar cf ../coroutines.jar .)
fi

cargo build --release --quiet -p karwan-ffi --features bindgen
cargo build --release --quiet
target=${CARGO_TARGET_DIR:-target}/release
rm -rf "$work/generated" && mkdir "$work/generated"
"$target/uniffi-bindgen" generate --library "$target/libkarwan_ffi.so" --language kotlin --no-format --out-dir "$work/generated"

# Compiling takes a minute: only when something changed.
sources=("$work/generated/uniffi/karwan_ffi/karwan_ffi.kt" tests/kotlin/*.kt)
stamp=$(cat "${sources[@]}" | sha256sum | cut -c1-64)
if [[ $(cat "$work/compiled" 2>/dev/null) != "$stamp" ]]; then
    rm -rf "$work/classes"
    java -Xmx2g -cp "$tools" org.jetbrains.kotlin.cli.jvm.K2JVMCompiler -no-stdlib -no-reflect -nowarn -jvm-target 17 \
        -cp "$stdlib:$compiler:$jna" -d "$work/classes" "${sources[@]}"
    echo "$stamp" >"$work/compiled"
fi
java -Djna.library.path="$PWD/$target" -cp "$work/classes:$jna:$stdlib:$work/coroutines.jar" MainKt "$target/karwan" "$work"
