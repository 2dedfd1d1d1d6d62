#!/usr/bin/env bash
# Builds libkarwan_ffi.so for Android and writes the Kotlin bindings, for Gradle to pack.
#
#   ANDROID_NDK_HOME=... mobile-bindings/android/native.sh [ABI...]      default: arm64-v8a armeabi-v7a x86_64
#
# Needs the NDK (r26 or newer), the Rust targets (rustup target add aarch64-linux-android armv7-linux-androideabi
# x86_64-linux-android), perl and make for OpenSSL, and uniffi-bindgen on the path (ffi/README.md).
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
root=$here/../..
: "${ANDROID_NDK_HOME:?expected the folder of the NDK in ANDROID_NDK_HOME}"
api=24
case $(uname -s) in
    Linux) host=linux-x86_64 ;;
    Darwin) host=darwin-x86_64 ;;
    *) echo "native.sh: expected Linux or macOS" >&2; exit 1 ;;
esac
tools=$ANDROID_NDK_HOME/toolchains/llvm/prebuilt/$host/bin
[[ -d $tools ]] || { echo "native.sh: no compiler in $tools" >&2; exit 1; }
command -v uniffi-bindgen >/dev/null || { echo "native.sh: uniffi-bindgen is not on the path; see ffi/README.md" >&2; exit 1; }
export PATH=$tools:$PATH ANDROID_NDK_ROOT=$ANDROID_NDK_HOME

abis=("$@")
((${#abis[@]})) || abis=(arm64-v8a armeabi-v7a x86_64)
for abi in "${abis[@]}"; do
    case $abi in
        arm64-v8a) target=aarch64-linux-android compiler=aarch64-linux-android$api-clang ;;
        armeabi-v7a) target=armv7-linux-androideabi compiler=armv7a-linux-androideabi$api-clang ;;
        x86_64) target=x86_64-linux-android compiler=x86_64-linux-android$api-clang ;;
        *) echo "native.sh: expected arm64-v8a, armeabi-v7a or x86_64, and $abi came" >&2; exit 2 ;;
    esac
    name=$(tr 'a-z-' 'A-Z_' <<<"$target")
    export "CARGO_TARGET_${name}_LINKER=$compiler" "CC_${target//-/_}=$compiler" "AR_${target//-/_}=llvm-ar"
    # 16 KiB pages, which new phones have.
    export "CARGO_TARGET_${name}_RUSTFLAGS=-C link-arg=-Wl,-z,max-page-size=16384"
    (cd "$root" && cargo build --profile dist -p karwan-ffi --target "$target")
    library=${CARGO_TARGET_DIR:-$root/target}/$target/dist/libkarwan_ffi.so
    mkdir -p "$here/build/jniLibs/$abi"
    cp "$library" "$here/build/jniLibs/$abi/"
done

# The bindings are the same for all architectures. A stripped library has no metadata, so they are read from one built for here.
(cd "$root" && cargo build --release -p karwan-ffi)
library=$(ls "${CARGO_TARGET_DIR:-$root/target}"/release/libkarwan_ffi.{so,dylib} 2>/dev/null | head -1)
rm -rf "$here/build/generated/bindings"
(cd "$root" && uniffi-bindgen generate "$library" --language kotlin --no-format --config "$here/uniffi.toml" \
    --out-dir "$here/build/generated/bindings")
echo "ready: gradle assembleRelease"
