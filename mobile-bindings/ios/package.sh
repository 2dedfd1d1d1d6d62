#!/usr/bin/env bash
# Builds the library for iOS and its simulator, writes the Swift bindings, and packs both for Package.swift. On macOS only.
#
#   mobile-bindings/ios/package.sh
#
# Needs Xcode, the Rust targets (rustup target add aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios), and
# uniffi-bindgen on the path (ffi/README.md).
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
root=$here/../..
[[ $(uname -s) == Darwin ]] || { echo "package.sh: expected macOS: an XCFramework is made by Xcode" >&2; exit 1; }
command -v uniffi-bindgen >/dev/null || { echo "package.sh: uniffi-bindgen is not on the path; see ffi/README.md" >&2; exit 1; }
export IPHONEOS_DEPLOYMENT_TARGET=15.0
built=${CARGO_TARGET_DIR:-$root/target}

for target in aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios; do
    (cd "$root" && cargo rustc --profile dist -p karwan-ffi --lib --crate-type staticlib --target "$target")
done

generated=$here/Sources/Karwan/Generated
rm -rf "$here/build" "$generated"
mkdir -p "$here/build/headers" "$here/build/simulator" "$generated"
(cd "$root" && cargo build --release -p karwan-ffi &&
    uniffi-bindgen generate "$built/release/libkarwan_ffi.dylib" --language swift --no-format --out-dir "$here/build/bindings")
mv "$here/build/bindings/karwan_ffi.swift" "$generated/"
mv "$here/build/bindings/karwan_ffiFFI.h" "$here/build/headers/"
mv "$here/build/bindings/karwan_ffiFFI.modulemap" "$here/build/headers/module.modulemap"

lipo -create -output "$here/build/simulator/libkarwan_ffi.a" \
    "$built/aarch64-apple-ios-sim/dist/libkarwan_ffi.a" "$built/x86_64-apple-ios/dist/libkarwan_ffi.a"
xcodebuild -create-xcframework \
    -library "$built/aarch64-apple-ios/dist/libkarwan_ffi.a" -headers "$here/build/headers" \
    -library "$here/build/simulator/libkarwan_ffi.a" -headers "$here/build/headers" \
    -output "$here/build/karwan_ffiFFI.xcframework"
echo "ready: add this folder to an app as a local Swift package"
