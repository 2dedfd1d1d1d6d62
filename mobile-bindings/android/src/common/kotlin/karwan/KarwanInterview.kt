// An interview for a screen: its questions as a StateFlow that follows each answer. An answer is on disk when the call returns.

package karwan

import java.io.File
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import uniffi.karwan_ffi.Interview
import uniffi.karwan_ffi.Question
import uniffi.karwan_ffi.ReviewLine
import uniffi.karwan_ffi.Violation

/** A form being filled, or a finished record being changed. Closing it keeps the draft. */
class KarwanInterview internal constructor(private val device: KarwanDevice, private val interview: Interview) : AutoCloseable {
    private val shown = MutableStateFlow(interview.questions())

    /** The record that it becomes, or that it changes. */
    val record: String = interview.record()

    /** All questions, groups and repeats as they stand; a screen shows those that are relevant. */
    val questions: StateFlow<List<Question>> = shown.asStateFlow()

    /** Answers one question; an empty text takes the answer back. */
    suspend fun answer(place: String, value: String) = changing { interview.answer(place, value) }

    /**
     * Answers a question of the kind `UPLOAD` with a copy of [file], encrypted, and smaller where the form asks for that; gives the answer.
     * The file itself is the app's to delete.
     */
    suspend fun attach(place: String, file: File): String = changing { interview.attach(place, file.path) }

    /** Adds an instance to a repeat; gives its place. */
    suspend fun add(repeat: String): String = changing { interview.add(repeat) }

    /** Removes an instance. */
    suspend fun remove(instance: String) = changing { interview.remove(instance) }

    /** Shows the form in another of its languages. */
    suspend fun setLanguage(language: String) = changing { interview.setLanguage(language) }

    /** The form's languages. */
    suspend fun languages(): List<String> = device.onDisk { interview.languages() }

    /** What keeps it from being finished. */
    suspend fun violations(): List<Violation> = device.onDisk { interview.violations() }

    /** What was answered, to read over. */
    suspend fun review(): List<ReviewLine> = device.onDisk { interview.review() }

    /** Ends it: it waits to be sent. Where an answer does not stand, `KarwanException.Invalid` says which. */
    suspend fun finish(): String = device.onDisk { interview.finish() }

    /** Throws it away. */
    suspend fun discard() = device.onDisk { interview.discard() }

    private suspend fun <T> changing(work: () -> T): T = device.onDisk {
        val outcome = work()
        shown.value = interview.questions()
        outcome
    }

    override fun close() = interview.close()
}
