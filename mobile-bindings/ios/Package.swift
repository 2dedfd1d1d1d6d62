// swift-tools-version: 5.9
// The Swift package: the layer in Sources/Karwan over the bindings and the library that package.sh builds.

import PackageDescription

let package = Package(
    name: "Karwan",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "Karwan", targets: ["Karwan"])],
    targets: [
        .binaryTarget(name: "karwan_ffiFFI", path: "build/karwan_ffiFFI.xcframework"),
        // package.sh puts the generated karwan_ffi.swift into Sources/Karwan/Generated.
        .target(
            name: "Karwan",
            dependencies: ["karwan_ffiFFI"],
            linkerSettings: [.linkedFramework("Security"), .linkedFramework("SystemConfiguration")]
        ),
    ]
)
