// The database's key, wrapped by a key that never leaves the Android Keystore.

package karwan.android

import android.content.Context
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyProperties
import java.io.File
import java.security.KeyStore
import java.security.SecureRandom
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec
import karwan.DeviceKey

/**
 * 32 random bytes, made once. The file that holds them wrapped is in `noBackupFilesDir`: on another phone it would be of no use.
 *
 * The wrapping key asks for no unlocked screen, or a sync in the background would fail; the phone's own encryption and lock stand before
 * it. Where the wrapped key is there and cannot be unwrapped, the key is lost: that is thrown, and nothing is made anew over it.
 */
class KeystoreKey(context: Context, private val alias: String = "karwan-device") : DeviceKey {
    private val file = File(context.noBackupFilesDir, "$alias.key")

    /** Wrapped key and Keystore do not belong together any more. Nothing was changed. */
    class Lost(cause: Throwable?) : Exception("the key of this device is lost", cause)

    @Synchronized
    override fun bytes(): ByteArray {
        if (!file.exists()) return make()
        val kept = file.readBytes()
        val key = store().getKey(alias, null) as? SecretKey ?: throw Lost(null)
        try {
            val cipher = Cipher.getInstance(CIPHER)
            cipher.init(Cipher.DECRYPT_MODE, key, GCMParameterSpec(TAG_BITS, kept, 0, NONCE_BYTES))
            return cipher.doFinal(kept, NONCE_BYTES, kept.size - NONCE_BYTES)
        } catch (broken: Exception) {
            throw Lost(broken)
        }
    }

    private fun make(): ByteArray {
        val generator = KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, PROVIDER)
        val purposes = KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT
        generator.init(
            KeyGenParameterSpec.Builder(alias, purposes)
                .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
                .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
                .setKeySize(256)
                .build(),
        )
        val cipher = Cipher.getInstance(CIPHER)
        cipher.init(Cipher.ENCRYPT_MODE, generator.generateKey())
        val bytes = ByteArray(32).also { SecureRandom().nextBytes(it) }
        // Written whole under another name first: a half-written key is a lost one.
        val fresh = File(file.path + ".new")
        fresh.outputStream().use { out ->
            out.write(cipher.iv + cipher.doFinal(bytes))
            out.fd.sync()
        }
        check(fresh.renameTo(file)) { "the wrapped key cannot be put in place" }
        return bytes
    }

    private fun store(): KeyStore = KeyStore.getInstance(PROVIDER).apply { load(null) }

    private companion object {
        const val PROVIDER = "AndroidKeyStore"
        const val CIPHER = "AES/GCM/NoPadding"
        const val NONCE_BYTES = 12
        const val TAG_BITS = 128
    }
}
