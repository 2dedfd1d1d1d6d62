// The database's key in the Keychain: this device only, also while the screen is locked after the first unlock.

import Foundation
import Security

/// 32 random bytes, made once.
public struct KeychainKey: DeviceKey {
    private let service: String
    private let account: String

    public init(service: String = "karwan", account: String = "device") {
        self.service = service
        self.account = account
    }

    /// What the Keychain answered where it gave no key. `errSecInteractionNotAllowed`: before the first unlock; try again later.
    public struct Unreachable: Error {
        public let status: OSStatus
    }

    public func bytes() throws -> Data {
        var query = item
        query[kSecReturnData as String] = true
        var found: CFTypeRef?
        switch SecItemCopyMatching(query as CFDictionary, &found) {
        case errSecSuccess:
            guard let key = found as? Data else { throw Unreachable(status: errSecDecode) }
            return key
        case errSecItemNotFound:
            return try make()
        case let status:
            throw Unreachable(status: status)
        }
    }

    private var item: [String: Any] {
        [
            kSecClass as String: kSecClassGenericPassword,
            kSecAttrService as String: service,
            kSecAttrAccount as String: account,
        ]
    }

    private func make() throws -> Data {
        var key = Data(count: 32)
        let drawn = key.withUnsafeMutableBytes { SecRandomCopyBytes(kSecRandomDefault, 32, $0.baseAddress!) }
        guard drawn == errSecSuccess else { throw Unreachable(status: drawn) }
        var added = item
        added[kSecValueData as String] = key
        added[kSecAttrAccessible as String] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
        let status = SecItemAdd(added as CFDictionary, nil)
        guard status == errSecSuccess else { throw Unreachable(status: status) }
        return key
    }
}
