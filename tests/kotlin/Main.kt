// Drives the Kotlin bindings as an app would, against a real server: enrol, open a form, fill, be killed, go on, finish, sync with
// progress, disagree with another phone, and every kind of typed error. Prints `ALL OK` at the end; any check that fails ends the
// program with an error.
//
//   MainKt KARWAN WORK                            the command's program, and a folder to work in
//   MainKt collect FOLDER WITNESS                 the phone that is killed in the middle of an interview

import java.io.File
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import kotlinx.coroutines.runBlocking
import uniffi.karwan_ffi.*

const val SETTLEMENT = "/data/visit/settlement"
const val HOUSEHOLD = "/data/visit/household_no"
const val ENGLISH = "English (en)"
const val PERSIAN = "فارسی (fa)"
val KEY = ByteArray(32) { (it * 7 + 1).toByte() }

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

class Watcher : Observer {
    val told = LinkedBlockingQueue<Changes>()
    override fun onChanges(changes: Changes) {
        told.add(changes)
        throw IllegalStateException("a screen that is gone")
    }

    /** Waits until this record is among the changes. */
    fun hears(record: String): Boolean =
        generateSequence { told.poll(WAIT_S, TimeUnit.SECONDS) }.any { record in it.records }
}

/** What must not happen is that the block returns; gives what it threw. */
inline fun <reified T : KarwanException> throws(block: () -> Unit): T {
    try {
        block()
    } catch (thrown: KarwanException) {
        check(thrown is T) { "expected ${T::class.simpleName}, and $thrown came" }
        return thrown
    }
    error("expected ${T::class.simpleName}, and nothing was thrown")
}

/** Answers what must be answered of a household that does not wish to be asked; gives the record. */
fun fill(interview: Interview, settlement: String, household: String): String {
    interview.answer(SETTLEMENT, settlement)
    interview.answer(HOUSEHOLD, household)
    interview.answer("/data/visit/respondent_sex", "female")
    interview.answer("/data/visit/consent", "refused")
    for (question in interview.questions().filter { it.relevant && it.required && it.value.isEmpty() }) {
        val now = interview.question(question.place)!!
        interview.answer(now.place, now.choices.first().value)
    }
    return interview.finish()
}

fun values(device: Device, record: String, reference: String): List<String> =
    device.show(record).questions.first { it.reference == reference }.values.map { it.value }

/** Answers until it is killed. */
fun collect(folder: String, witness: String) {
    val interview = openDevice(folder, witness, KEY).start("rapid_needs", null, null)
    interview.answer(SETTLEMENT, "پیش از کشته شدن")
    println(interview.record())
    Thread.sleep(Long.MAX_VALUE)
}

fun main(arguments: Array<String>) {
    if (arguments[0] == "collect") return collect(arguments[1], arguments[2])
    val (program, work) = arguments
    World(program, File(work, "world")).use { world -> runBlocking { behave(world) } }
    println("ALL OK")
}

suspend fun behave(world: World) {
    val folder = world.path("phone")
    val witness = world.path("phone-witness")
    val invitation = world.invitation()

    world.tell("what is no invitation, key or witness is told with a mend") {
        val nonsense = throws<KarwanException.BadInput> { enrol(folder, witness, KEY, "karwan1:nonsense", "phone", null) }
        check(nonsense.mend.isNotEmpty() && "karwan " !in nonsense.mend) { nonsense.mend }
        throws<KarwanException.BadInput> { enrol(folder, witness, ByteArray(31), invitation, "phone", null) }
        throws<KarwanException.BadInput> { enrol(folder, "$folder/witness", KEY, invitation, "phone", null) }
        throws<KarwanException.NotFound> { openDevice(folder, witness, KEY) }
        check(!File(folder).exists()) { "a failed enrolment left something behind" }
    }

    val device = enrol(folder, witness, KEY, invitation, "phone", "Laila", 270)
    world.tell("a device enrols, and its invitation is used up") {
        check(device.person() == "Laila" && device.organisation() == "Kotlin test")
        val other = world.path("other")
        check(throws<KarwanException.Refused> { enrol(other, "$other-witness", KEY, invitation, "other", null) }.code == "invitation-used")
        check(throws<KarwanException.BadInput> { enrol(folder, witness, KEY, invitation, "phone", null) }.code == "device-exists")
    }

    world.tell("a sync tells its progress and brings the forms") {
        val listener = Listener()
        device.sync(listener)
        check(listener.seen.first().phase == SyncPhase.CONNECTING && listener.seen.last().phase == SyncPhase.DONE) { "${listener.seen}" }
        val forms = device.forms()
        check(forms.map { it.id } == listOf("rapid_needs", "return_registration")) { "$forms" }
        check(forms.all { it.ready && it.title.isNotEmpty() && it.languages == listOf(ENGLISH, PERSIAN) }) { "$forms" }
    }

    world.tell("an interview shows its questions in the language chosen, and Persian digits become a number") {
        val interview = device.start("rapid_needs")
        check(interview.questions().any { it.place == SETTLEMENT && it.label == "Settlement or site" })
        interview.setLanguage(PERSIAN)
        check(interview.question(SETTLEMENT)!!.label.any { it in '\u0600'..'\u06ff' }) { "${interview.question(SETTLEMENT)}" }
        interview.answer(SETTLEMENT, "کوچهٔ ۷، احمدی")
        check(interview.question(SETTLEMENT)!!.value == "کوچهٔ ۷، احمدی") { "what was typed must stay" }
        interview.answer(HOUSEHOLD, "۱۲۳")
        check(interview.question(HOUSEHOLD)!!.value == "123") { "${interview.question(HOUSEHOLD)}" }
        interview.answer(HOUSEHOLD, "٠")
        check(interview.question(HOUSEHOLD)!!.violation == "constraint") { "${interview.question(HOUSEHOLD)}" }
        check(throws<KarwanException.BadInput> { interview.answer(HOUSEHOLD, "سه") }.mend.isNotEmpty())
        throws<KarwanException.NotFound> { interview.answer("/data/no_such_question", "1") }
        throws<KarwanException.Refused> { interview.answer("/data/survey/people/size", "3") }
        val invalid = throws<KarwanException.Invalid> { interview.finish() }
        check(invalid.violations.any { it.place == HOUSEHOLD && it.kind == "constraint" }) { "${invalid.violations}" }
        check(invalid.violations.any { it.place == "/data/visit/consent" && it.kind == "required" }) { "${invalid.violations}" }
        interview.discard()
        throws<KarwanException.Refused> { interview.answer(HOUSEHOLD, "1") }
        check(device.list("", false).isEmpty()) { "what was thrown away is still listed" }
    }

    world.tell("instances of a repeat come and go") {
        val interview = device.start("return_registration")
        interview.answer("/data/consent_part/consent", "given")
        val repeat = interview.questions().first { it.kind == QuestionKind.REPEAT && it.mayAdd }
        val count = { interview.questions().count { it.kind == QuestionKind.REPEAT_INSTANCE && it.place.startsWith(repeat.place) } }
        val before = count()
        val added = interview.add(repeat.place)
        check(count() == before + 1)
        val name = interview.questions().first { it.place == "$added/m_given_name" }
        interview.answer(name.place, "غلام‌رضا")
        check(interview.question(name.place)!!.value == "غلام‌رضا")
        interview.remove(added)
        check(count() == before && interview.question(name.place) == null)
        interview.discard()
    }

    world.tell("an app that is killed goes on where it was") {
        device.pause()
        val draft = world.killed("collect", folder, witness)
        throws<KarwanException.Paused> { device.list("", false) }
        device.resumeUse()
        check(device.list("", false).single().let { it.record == draft && it.status == "draft" })
        val interview = device.resume(draft)
        check(interview.question(SETTLEMENT)!!.value == "پیش از کشته شدن") { "${interview.question(SETTLEMENT)}" }
        interview.close()
        val report = device.sync()
        check(report.roundTrips == 1u && report.changesUp == 0uL) { "a draft stays on the device: $report" }
        device.discard(draft)
    }

    val watcher = Watcher()
    val observation = device.observe(watcher)
    val record = fill(device.start("rapid_needs", null, "Zahra"), "کوچهٔ ۷، احمدی", "۱۲۳")
    world.tell("a finished interview is told to observers, waits, and is sent") {
        check(watcher.hears(record)) { "nobody was told" }
        check(device.list("احمدي", false).single().let { it.record == record && it.status == "finalised" && it.madeBy == "Zahra" })
        val report = device.sync(Listener())
        check(report.changesUp == 1uL && report.refused.isEmpty()) { "$report" }
        check(device.list("", false).single().status == "sent")
        observation.close()
    }

    val second = enrol(world.path("second"), world.path("second-witness"), KEY, world.invitation(), "second", "Karim", 210)
    world.tell("another phone has it after its sync, with who and where each value is from") {
        second.sync()
        val shown = second.show(record).questions.first { it.reference == SETTLEMENT }.values.single()
        check(shown.value == "کوچهٔ ۷، احمدی" && shown.author == "Zahra" && shown.device == "phone" && shown.offset == "+04:30") { "$shown" }
        check(second.list("احمدي", true).isEmpty()) { "it is not Karim's own" }
    }

    world.tell("two answers to one question both stay, on both phones") {
        for ((phone, value) in listOf(device to "ده‌نو", second to "قلعه‌نو")) {
            val interview = phone.edit(record)
            interview.answer(SETTLEMENT, value)
            check(interview.finish() == record)
        }
        device.sync()
        check(second.sync().conflicts == 1uL)
        device.sync()
        for (phone in listOf(device, second)) {
            check(values(phone, record, SETTLEMENT).sorted() == listOf("ده‌نو", "قلعه‌نو").sorted()) { "${phone.show(record)}" }
            val item = phone.openItems().single()
            check(item.kind == "conflict" && item.record == record && item.reference == SETTLEMENT) { "$item" }
            check(item.values.map { it.author }.toSet() == setOf("Laila", "Karim")) { "$item" }
            check(phone.list("", false).single().openItems == 1u)
        }
    }
    second.close()

    world.tell("a listener that says no ends the sync, and one that throws gets its exception back") {
        throws<KarwanException.Cancelled> { device.sync(Listener(cancelAfter = 1)) }
        throws<KarwanException.Cancelled> { device.sync(Listener(cancelAfter = 2)) }
        val broken = throws<KarwanException.Internal> { device.sync(Broken()) }
        check("the app's side broke" in broken.reason) { broken.reason }
        check(device.sync().roundTrips == 1u)
    }

    world.tell("what is not there and what may not be is told by kind") {
        check(throws<KarwanException.NotFound> { device.start("no_such_form") }.code == "no-such-form")
        throws<KarwanException.NotFound> { device.show("0b7e0c52-3c39-4a3e-8b39-1f0f4d1a9c11") }
        throws<KarwanException.NotFound> { device.resume("no record") }
        throws<KarwanException.BadInput> { device.start("rapid_needs", "no caseload", null) }
        throws<KarwanException.BadInput> { device.setUtcOffset(5000) }
    }
    device.pause()
    device.close()

    world.tell("another key opens nothing and does no harm") {
        throws<KarwanException.KeyLost> { openDevice(folder, witness, ByteArray(32)) }
        openDevice(folder, witness, KEY).use {
            check(it.salvaged() == null && it.list("", false).single().record == record)
            it.pause()
        }
    }

    layer(world, folder, witness)

    world.tell("a database that was found damaged is salvaged, kept aside, and complete after a sync") {
        // What the store leaves when it meets a damaged page; the next opening reads what can be read.
        check(File(folder, "damaged").createNewFile())
        openDevice(folder, witness, KEY).use {
            val salvage = checkNotNull(it.salvaged())
            check(salvage.rowsSaved > 0uL && salvage.rowsLost == 0uL && File(salvage.keptIn, "device.db").exists()) { "$salvage" }
            it.sync()
            check(it.list("", false).count { row -> row.record == record } == 1) { "${it.list("", false)}" }
            check(values(it, record, SETTLEMENT).size == 2)
            it.pause()
        }
    }
}
