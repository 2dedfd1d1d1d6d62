//! Writes the bindings: `uniffi-bindgen generate --library target/release/libkarwan_ffi.so --language kotlin --out-dir OUT`.

fn main() {
    uniffi::uniffi_bindgen_main();
}
