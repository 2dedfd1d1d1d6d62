// Where the device's files are on an Android phone.

package karwan.android

import android.content.Context
import java.io.File
import karwan.Place

/**
 * The database in `filesDir`, the witness in `noBackupFilesDir`: a backup that is restored, to this phone or another one, brings the
 * database without the witness, and the library begins a new life instead of writing twice under one name.
 */
fun devicePlace(context: Context, name: String = "karwan"): Place =
    Place(folder = File(context.filesDir, name), witness = File(context.noBackupFilesDir, "$name-witness"))
