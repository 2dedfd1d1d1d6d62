#!/usr/bin/env bash
# Compiles the Kotlin bindings and the Kotlin layer with the real compiler, and runs them on the JVM against a real server. Generates
# the Swift bindings. Needs the library and the command built (tests/run build).
#
#   tests/steps/kotlin.sh WORK      WORK is a folder that may be kept: what was fetched and built stays there
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p "$1/kotlin"
tools=$(cd "$1" && pwd)
work=$tools/kotlin
target=$(cd "${CARGO_TARGET_DIR:-target}/release" && pwd)
program=${KARWAN_PROGRAM:-$target/karwan}
compiler_version=0.19.0.944
uniffi_version=$(sed -n '/^name = "uniffi"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)

# The compiler and the coroutines library come in one Python wheel.
if [[ ! -e $work/.fetched-$compiler_version ]]; then
    "$tools/venv/bin/pip" download -q --disable-pip-version-check --no-deps -d "$work" "kotlin-jupyter-kernel==$compiler_version"
    (cd "$work" && unzip -qo ./*.whl -d wheel)
    touch "$work/.fetched-$compiler_version"
fi
jars=$work/wheel/run_kotlin_kernel/jars
compiler=$(ls "$jars"/kotlin-jupyter-kernel-*-all.jar)
stdlib=$(ls "$jars"/kotlin-stdlib-2*.jar)
classpath=$compiler:$stdlib:$(ls "$jars"/kotlin-reflect-*.jar):$(ls "$jars"/kotlin-script-runtime-*.jar):$(ls "$jars"/annotations-*.jar)
jna=/usr/share/java/jna.jar
# A slim coroutines jar, so that the class path at run time does not carry the compiler.
if [[ ! -e $work/coroutines.jar ]]; then
    rm -rf "$work/coroutines" && mkdir "$work/coroutines"
    (cd "$work/coroutines" && unzip -q "$compiler" 'kotlinx/coroutines/*' '_COROUTINE/*' 'META-INF/kotlinx-coroutines-core.kotlin_module' &&
        jar cf ../coroutines.jar .)
fi

# The generator of the version that the library was built with, and a target folder of its own: its features must not become those
# of the workspace.
bindgen=$tools/uniffi-$uniffi_version/bin/uniffi-bindgen
if [[ ! -x $bindgen ]]; then
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --debug --locked uniffi --version "=$uniffi_version" --features cli \
        --bin uniffi-bindgen --root "$tools/uniffi-$uniffi_version" --target-dir "$tools/uniffi-target"
    rm -rf "$tools/uniffi-target"
fi
rm -rf "$work/generated" && mkdir "$work/generated"
"$bindgen" generate "$target/libkarwan_ffi.so" --language kotlin --language swift --no-format --out-dir "$work/generated"
for made in uniffi/karwan_ffi/karwan_ffi.kt karwan_ffi.swift karwan_ffiFFI.h karwan_ffiFFI.modulemap; do
    [[ -s $work/generated/$made ]] || { echo "the generator made no $made"; exit 1; }
done

# Compiling takes a minute: only when something changed.
sources=("$work/generated/uniffi/karwan_ffi/karwan_ffi.kt" mobile-bindings/android/src/common/kotlin/karwan/*.kt tests/kotlin/*.kt)
stamp=$(cat "${sources[@]}" | sha256sum | cut -c1-64)
if [[ $(cat "$work/compiled" 2>/dev/null) != "$stamp" ]]; then
    rm -rf "$work/classes"
    java -Xmx2g -cp "$classpath" org.jetbrains.kotlin.cli.jvm.K2JVMCompiler -no-stdlib -no-reflect -nowarn -jvm-target 17 \
        -cp "$stdlib:$compiler:$jna" -d "$work/classes" "${sources[@]}"
    echo "$stamp" >"$work/compiled"
fi
java -Djna.library.path="$target" -cp "$work/classes:$jna:$stdlib:$work/coroutines.jar" MainKt "$program" "$work"
