// The layer of coroutines and flows that Android apps use, on the JVM: all of it that knows nothing of Android.

import java.io.File
import karwan.DeviceKey
import karwan.KarwanDevice
import karwan.MeetingState
import karwan.Place
import karwan.SyncState
import karwan.trouble
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeout
import uniffi.karwan_ffi.KarwanException
import uniffi.karwan_ffi.openDevice

private object TestKey : DeviceKey {
    override fun bytes(): ByteArray = KEY
}

private const val PHOTO_FORM = """<?xml version="1.0"?>
<h:html xmlns="http://www.w3.org/2002/xforms" xmlns:h="http://www.w3.org/1999/xhtml">
<h:head><h:title>Photo</h:title><model><instance><data id="photo" version="1"><photo/></data></instance>
<bind nodeset="/data/photo" type="binary"/></model></h:head>
<h:body><upload mediatype="image/*" ref="/data/photo"><label>Photograph</label></upload></h:body></h:html>"""

suspend fun layer(world: World, folder: String, witness: String) {
    val place = Place(File(folder), File(witness))
    check(place.holdsDevice && !Place(File(world.path("nobody")), File(witness)).holdsDevice)
    val device = KarwanDevice.open(place, TestKey)
    device.zoneChanged()

    world.tell("a list is a flow that follows what a person answers") {
        coroutineScope {
            val lists = Channel<List<String>>(Channel.UNLIMITED)
            val collector = launch(Dispatchers.IO) { device.records(source = "rapid_needs").collect { rows -> lists.send(rows.map { it.status }) } }
            withTimeout(WAIT_S * 1000) {
                check(lists.receive() == listOf("sent"))
                val interview = device.start("rapid_needs")
                while (lists.receive() != listOf("draft", "sent")) { /* an earlier state of the list */ }
                interview.answer(SETTLEMENT, "نو")
                check(interview.questions.value.first { it.place == SETTLEMENT }.value == "نو")
                interview.discard()
                while (lists.receive() != listOf("sent")) { /* an earlier state of the list */ }
            }
            collector.cancel()
        }
    }

    world.tell("a sync is a flow that ends with its summary") {
        val states = device.sync().toList()
        val done = states.last() as SyncState.Done
        check(done.summary.roundTrips == 1u) { "$states" }
        check(states.dropLast(1).all { it is SyncState.Running }) { "$states" }
        val thrown = runCatching { device.sync("127.0.0.1:1").toList() }.exceptionOrNull()
        check(thrown is KarwanException.Unreachable && "Your work is kept." in thrown.trouble.mend) { "$thrown" }
    }

    world.tell("a sync whose collector leaves ends, and the next one works") {
        check(device.sync().first() is SyncState.Running)
        check(device.sync().toList().last() is SyncState.Done)
    }

    world.tell("a photograph goes with its record, behind it, and is read back") {
        world.publish("photo.xml", PHOTO_FORM)
        device.sync().toList()
        val picture = File(world.path("photo.jpg")).apply { writeBytes(ByteArray(100_000) { (it * 31).toByte() }) }
        val interview = device.start("photo")
        val answer = interview.attach("/data/photo", picture)
        check(device.attachment(answer)?.atServer == false)
        interview.finish()
        val paid = device.sync(metered = true).toList().last() as SyncState.Done
        check(paid.summary.attachmentsUp == 1uL && paid.summary.attachmentsWaiting == 0uL) { "$paid" }
        check(device.attachment(answer)?.atServer == true)
        check(device.readAttachment(answer).contentEquals(picture.readBytes()))
        device.setDataSaver(1_000_000)
        check(device.dataSaver()?.let { it.bytesADay == 1_000_000uL && it.leftToday == 1_000_000uL } == true) { "${device.dataSaver()}" }
        device.setDataSaver(null)
        check(device.dataSaver() == null)
        // The server was never backed up: what this phone made stays.
        val freed = device.freeSpace()
        check(freed.attachments == 0uL && freed.notBackedUp == 1uL && device.attachment(answer)?.whole == true) { "$freed" }
    }

    world.tell("two phones meet with no server, and what came is provisional until it is home") {
        val there = Place(File(world.path("there")), File(world.path("there-witness")))
        val other = KarwanDevice.enrol(there, TestKey, world.invitation(), "phone-there", "Omid")
        val interview = device.start("rapid_needs")
        for ((place, answer) in listOf(SETTLEMENT to "نو", HOUSEHOLD to "77", "/data/visit/respondent_sex" to "female", "/data/visit/consent" to "refused")) {
            interview.answer(place, answer)
        }
        for (question in interview.questions.value.filter { it.relevant && it.required && it.value.isEmpty() }) {
            interview.answer(question.place, interview.questions.value.first { it.place == question.place }.choices.first().value)
        }
        val record = interview.finish()
        coroutineScope {
            val states = Channel<MeetingState>(Channel.UNLIMITED)
            val waiting = launch(Dispatchers.IO) { device.listen(listOf("127.0.0.1")).collect { states.send(it) } }
            withTimeout(WAIT_S * 1000) {
                val text = (states.receive() as MeetingState.Waiting).text
                val done = other.syncWith(text).toList().last() as SyncState.Done
                check(done.summary.envelopesDown >= 1uL && done.summary.met != null) { "$done" }
                while (states.receive() !is MeetingState.Done) { /* how far it is */ }
            }
            waiting.join()
        }
        check(other.show(record).provisional && !device.show(record).provisional)
        other.sync().toList()
        check(!other.show(record).provisional && other.show(record).status == "sent")
        val thrown = runCatching { other.syncWith("karwan-meet1:AAAA").toList() }.exceptionOrNull()
        check(thrown is KarwanException.BadInput) { "$thrown" }
        // A wait that nobody collects any more ends.
        check(other.listen(listOf("127.0.0.1")).first() is MeetingState.Waiting)
        other.close()
    }

    world.tell("nobody at work holds the database") {
        device.forms().first()
        // Another process, or another opening, has the folder as long as nobody is in here.
        val other = openDevice(folder, witness, KEY)
        other.pause()
        device.inUse { check(device.openItems().size == 1) }
        other.resumeUse()
        other.pause()
        other.close()
    }
    device.close()
}
