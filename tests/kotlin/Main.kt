// Drives the Kotlin bindings as an app would, against a real server: enrol, open a form, fill, save, list, sync with a progress
// listener, cancel, and typed errors. Prints `ALL OK` at the end; any check that fails ends the program with an error.
//
//   MainKt KARWAN WORK      the command's program, and a folder to work in

import java.io.File
import java.util.concurrent.CopyOnWriteArrayList
import kotlinx.coroutines.runBlocking
import uniffi.karwan_ffi.*

class Listener(private val cancelAfter: Int? = null) : SyncListener {
    val seen = CopyOnWriteArrayList<SyncProgress>()
    override fun onProgress(progress: SyncProgress): Boolean {
        seen.add(progress)
        return cancelAfter == null || seen.size < cancelAfter
    }
}

class Broken : SyncListener {
    override fun onProgress(progress: SyncProgress): Boolean = throw IllegalStateException("the app's side broke")
}

fun run(program: String, vararg arguments: String): String {
    val process = ProcessBuilder(listOf(program) + arguments).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    process.outputStream.close()
    val output = process.inputStream.bufferedReader().readText()
    check(process.waitFor() == 0) { "${arguments.toList()} failed" }
    return output.trim()
}

/** The text of one key of a flat JSON object: all that this test needs of JSON. */
fun field(json: String, key: String): String = Regex("\"$key\"\\s*:\\s*\"([^\"]*)\"").find(json)!!.groupValues[1]

fun main(arguments: Array<String>) = runBlocking {
    val (program, work) = arguments
    val folder = File(work, "world").apply { deleteRecursively(); mkdirs() }
    val organisation = File(folder, "org").path
    run(program, "init", organisation, "--name", "Kotlin test")
    run(program, "caseload", "add", organisation, "mashhad")
    run(program, "programme", "add", organisation, "rapid_needs", "--caseload", "mashhad")
    val server = ProcessBuilder(program, "serve", organisation, "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0", "--json")
        .redirectError(ProcessBuilder.Redirect.INHERIT).start()
    try {
        server.inputStream.bufferedReader().readLine()
        val invitation = field(run(program, "invite", organisation, "--role", "enumerator", "--caseload", "mashhad", "--json"), "invitation")
        val key = ByteArray(32) { (it * 7 + 1).toByte() }
        val deviceFolder = File(folder, "phone").path
        val witness = File(folder, "witness").path

        try {
            enrol(deviceFolder, witness, key, "karwan1:nonsense", "phone", null)
            error("an invitation that is none was taken")
        } catch (refused: KarwanException.BadInput) {
            println("typed error: ${refused.reason} / ${refused.mend}")
        }

        enrol(deviceFolder, witness, key, invitation, "phone", "Laila").use { device ->
            val first = Listener()
            device.sync(first)
            check(first.seen.isNotEmpty()) { "no progress was told" }
            val forms = device.forms()
            println("forms: ${forms.map { it.id }}")
            val form = forms.first()

            val interview = device.start(form.id)
            val questions = interview.questions()
            check(questions.isNotEmpty() && questions.any { it.label.isNotEmpty() })
            var answered = 0
            for (question in questions.filter { it.relevant && !it.readonly && it.value.isEmpty() }) {
                val value = when {
                    question.choices.isNotEmpty() -> question.choices.first().value
                    question.dataType == "int" -> "2"
                    question.dataType == "string" -> "کریم"
                    else -> continue
                }
                try { interview.answer(question.place, value); answered++ } catch (refused: KarwanException.Refused) { }
            }
            println("answered $answered of ${questions.size} questions; violations ${interview.violations().size}")
            check(answered > 0)
            val draft = interview.record()
            interview.close()

            // What was answered is durable: the app may be killed here, and goes on where it was.
            val again = device.resume(draft)
            check(again.questions().any { it.value.isNotEmpty() }) { "the draft is empty after it was opened again" }
            again.close()

            val before = device.list("", false)
            check(before.any { it.record == draft && it.status == "draft" }) { "$before" }

            try {
                device.sync(Broken())
                error("an exception of the listener went unnoticed")
            } catch (failed: KarwanException.Internal) {
                println("listener's exception came back: ${failed.reason.lines().first()}")
            }
            val report = device.sync(Listener())
            println("synced: ${report.roundTrips} round trip(s), ${report.bytesUp} bytes up, ${report.bytesDown} down")
            check(report.roundTrips == 1u) { "$report" }

            try {
                device.start("no_such_form")
                error("a form that is not there was opened")
            } catch (missing: KarwanException.NotFound) {
                println("typed error: ${missing.reason}")
            }
            device.pause()
            device.resumeUse()
            check(device.list("", false).size == before.size)
        }

        openDevice(deviceFolder, witness, key).use { device -> check(device.forms().isNotEmpty()) }
        try {
            openDevice(deviceFolder, witness, ByteArray(32))
            error("a wrong key opened the database")
        } catch (wrong: KarwanException.KeyLost) {
            println("typed error: ${wrong.reason}")
        }
        println("ALL OK")
    } finally {
        server.destroy()
        server.waitFor()
    }
}
