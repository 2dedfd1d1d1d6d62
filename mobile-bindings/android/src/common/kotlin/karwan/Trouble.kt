// What went wrong, in one shape whatever its kind: for a screen that shows a reason and a mend.

package karwan

import uniffi.karwan_ffi.KarwanException

/** A [code] for programs, the [reason], and what the person can do about it. No answer of anybody is in it. */
data class Trouble(val code: String, val reason: String, val mend: String)

/** The same of any kind of exception. */
val KarwanException.trouble: Trouble
    get() = when (this) {
        is KarwanException.BadInput -> Trouble(code, reason, mend)
        is KarwanException.NotFound -> Trouble(code, reason, mend)
        is KarwanException.Refused -> Trouble(code, reason, mend)
        is KarwanException.Invalid -> Trouble(code, reason, mend)
        is KarwanException.Unreachable -> Trouble(code, reason, mend)
        is KarwanException.KeyLost -> Trouble(code, reason, mend)
        is KarwanException.Folder -> Trouble(code, reason, mend)
        is KarwanException.Paused -> Trouble(code, reason, mend)
        is KarwanException.Cancelled -> Trouble(code, reason, mend)
        is KarwanException.Internal -> Trouble(code, reason, mend)
    }
