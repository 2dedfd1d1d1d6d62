// The device as an app's Kotlin code wants it: nothing blocks, a sync is a Flow that ends with its collector, lists are Flows that
// follow what changes, and the database is closed whenever nobody uses it. Knows nothing of Android, so it is compiled and run on
// the JVM by tests/run.

package karwan

import java.io.File
import java.net.Inet4Address
import java.net.NetworkInterface
import java.util.TimeZone
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.callbackFlow
import kotlinx.coroutines.flow.channelFlow
import kotlinx.coroutines.flow.conflate
import kotlinx.coroutines.flow.filter
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.onStart
import kotlinx.coroutines.isActive
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext
import uniffi.karwan_ffi.Attachment
import uniffi.karwan_ffi.Changes
import uniffi.karwan_ffi.DataSaver
import uniffi.karwan_ffi.Device
import uniffi.karwan_ffi.FormSummary
import uniffi.karwan_ffi.FreedSpace
import uniffi.karwan_ffi.Observer
import uniffi.karwan_ffi.OpenItem
import uniffi.karwan_ffi.RecordDetail
import uniffi.karwan_ffi.RecordSummary
import uniffi.karwan_ffi.Salvage
import uniffi.karwan_ffi.SyncListener
import uniffi.karwan_ffi.SyncPhase
import uniffi.karwan_ffi.SyncProgress
import uniffi.karwan_ffi.SyncSummary
import uniffi.karwan_ffi.enrol as enrolDevice
import uniffi.karwan_ffi.openDevice

/** Where a device lives: [folder] for its database, [witness] outside of it and outside of the phone's backups. */
data class Place(val folder: File, val witness: File) {
    /** Somebody enrolled here before. */
    val holdsDevice: Boolean get() = File(folder, "identity").exists() || File(folder, "device.db").exists()
}

/** Keeps the 32 bytes that open the database; on a phone, the platform's key store. */
interface DeviceKey {
    /** The key; made when it is asked for the first time. */
    fun bytes(): ByteArray
}

/** How a sync goes. */
sealed interface SyncState {
    /** It is under way. */
    data class Running(val progress: SyncProgress) : SyncState

    /** It is over; always the last. */
    data class Done(val summary: SyncSummary) : SyncState
}

/** How a meeting with another phone goes. */
sealed interface MeetingState {
    /** Nobody has come yet: show [text] as a QR code. It is for one phone, once. */
    data class Waiting(val text: String) : MeetingState

    /** The other phone is here. */
    data class Running(val progress: SyncProgress) : MeetingState

    /** It is over; always the last. */
    data class Done(val summary: SyncSummary) : MeetingState
}

/** A device that has joined an organisation. */
class KarwanDevice private constructor(private val device: Device, private val disk: CoroutineDispatcher) : AutoCloseable {
    private val use = Mutex()
    private var users = 0
    private var paused = false

    companion object {
        /** Joins an organisation with an invitation's text; needs the network, once. */
        suspend fun enrol(
            place: Place,
            key: DeviceKey,
            invitation: String,
            name: String,
            person: String? = null,
            disk: CoroutineDispatcher = Dispatchers.IO,
        ): KarwanDevice = withContext(disk) {
            val device = enrolDevice(place.folder.path, place.witness.path, key.bytes(), invitation, name, person, offsetMinutes())
            KarwanDevice(device, disk)
        }

        /** Opens a device that joined before. */
        suspend fun open(place: Place, key: DeviceKey, disk: CoroutineDispatcher = Dispatchers.IO): KarwanDevice = withContext(disk) {
            KarwanDevice(openDevice(place.folder.path, place.witness.path, key.bytes(), offsetMinutes()), disk)
        }

        /** This phone's addresses in the networks that it is in, as another phone there reaches it. */
        fun ownAddresses(): List<String> =
            NetworkInterface.getNetworkInterfaces().toList().filter { it.isUp && !it.isLoopback && !it.isPointToPoint }
                .flatMap { it.inetAddresses.toList() }.filterIsInstance<Inet4Address>().mapNotNull { it.hostAddress }

        private fun offsetMinutes(): Int = TimeZone.getDefault().getOffset(System.currentTimeMillis()) / 60_000
    }

    /** The device's identifier. */
    val id: String get() = device.id()

    /** What was saved from a damaged database when the device was opened: tell the person, and the administrator. */
    val salvaged: Salvage? get() = device.salvaged()

    /** What changed, gathered while the collector is busy. */
    val changes: Flow<Changes> = callbackFlow {
        val observation = device.observe(object : Observer {
            override fun onChanges(changes: Changes) {
                trySend(changes)
            }
        })
        awaitClose { observation.close() }
    }

    /** Interviews and entities now, and again whenever records change. */
    fun records(search: String = "", mine: Boolean = false, entities: Boolean? = null, source: String? = null, limit: Int = 0): Flow<List<RecordSummary>> =
        changes.filter { it.records.isNotEmpty() || it.people }
            .map { }
            .onStart { emit(Unit) }
            .conflate()
            .map { inUse { device.list(search, mine, entities, source, limit.toUInt(), 0u) } }
            .flowOn(disk)

    /** The forms that may be filled, now and again whenever they change. */
    fun forms(): Flow<List<FormSummary>> =
        changes.filter { it.forms }.map { }.onStart { emit(Unit) }.conflate().map { inUse { device.forms() } }.flowOn(disk)

    /** A record, draft or entity with where each value is from. */
    suspend fun show(record: String): RecordDetail = onDisk { device.show(record) }

    /** What a person must decide. */
    suspend fun openItems(): List<OpenItem> = onDisk { device.openItems() }

    /** How far the server's clock was ahead at the last sync: somebody should set the phone's clock. */
    suspend fun clockAheadMs(): Long? = onDisk { device.clockAheadMs() }

    /** Begins an interview with the newest version of a form. */
    suspend fun start(form: String, caseload: String? = null, person: String? = null): KarwanInterview =
        onDisk { KarwanInterview(this, device.start(form, caseload, person)) }

    /** Goes on with a draft, also one that a killed app left. */
    suspend fun resume(record: String): KarwanInterview = onDisk { KarwanInterview(this, device.resume(record)) }

    /** Begins to change a finished record. */
    suspend fun edit(record: String, person: String? = null): KarwanInterview = onDisk { KarwanInterview(this, device.edit(record, person)) }

    /** Throws a draft away. */
    suspend fun discard(record: String) = onDisk { device.discard(record) }

    /**
     * Syncs while it is collected, and ends with its collector: what was done by then is kept. The last state is [SyncState.Done];
     * what goes wrong is thrown. A slow collector misses steps in between, never the last. Where the network is [metered], paid by the byte,
     * large attachments wait.
     */
    fun sync(with: String? = null, metered: Boolean = false): Flow<SyncState> = channelFlow {
        val listener = object : SyncListener {
            override fun onProgress(progress: SyncProgress): Boolean {
                trySend(SyncState.Running(progress))
                return isActive
            }
        }
        send(SyncState.Done(inUse { device.sync(listener, with, metered) }))
    }.conflate()

    /**
     * Waits for another phone while it is collected, in the same network and with no server; first gives the text to be shown as a QR code.
     * What comes is provisional until the server's verdict. [addresses] are this phone's own, best first.
     */
    fun listen(addresses: List<String> = ownAddresses()): Flow<MeetingState> = channelFlow {
        inUse {
            val listening = device.listen(addresses)
            try {
                send(MeetingState.Waiting(listening.text()))
                val listener = object : SyncListener {
                    override fun onProgress(progress: SyncProgress): Boolean {
                        if (progress.phase != SyncPhase.CONNECTING) trySend(MeetingState.Running(progress))
                        return isActive
                    }
                }
                send(MeetingState.Done(listening.meet(listener)))
            } finally {
                listening.close()
            }
        }
    }

    /** Syncs with the phone that shows this text while it is collected; as [sync] otherwise. */
    fun syncWith(text: String): Flow<SyncState> = channelFlow {
        val listener = object : SyncListener {
            override fun onProgress(progress: SyncProgress): Boolean {
                trySend(SyncState.Running(progress))
                return isActive
            }
        }
        send(SyncState.Done(inUse { device.syncWith(text, listener) }))
    }.conflate()

    /** How far the file is that an answer refers to; null where it is not here and nobody asked for it. */
    suspend fun attachment(answer: String): Attachment? = onDisk { device.attachment(answer) }

    /** Asks for the file that an answer refers to: the next sync brings it. */
    suspend fun wantAttachment(answer: String) = onDisk { device.wantAttachment(answer) }

    /** The content of a file that is here whole; nothing of it is written to the phone's storage in the clear. */
    suspend fun readAttachment(answer: String): ByteArray = onDisk { device.readAttachment(answer) }

    /** Lets a day carry so many bytes of attachments at most, both ways together; null for as many as there are. */
    suspend fun setDataSaver(bytesADay: Long?) = onDisk { device.setDataSaver(bytesADay?.toULong()) }

    /** What the data saver allows; null where it is off. It outlives the app, and so does what the day has carried. */
    suspend fun dataSaver(): DataSaver? = onDisk { device.dataSaver() }

    /**
     * Lets photographs and files go that are safe at the server, the oldest first, until all together take at most so many bytes; they are
     * fetched again with [wantAttachment] and a sync.
     */
    suspend fun freeSpace(keepBytes: Long = 0): FreedSpace = onDisk { device.freeSpace(keepBytes.toULong()) }

    /** The phone is in another zone. */
    fun zoneChanged() = device.setUtcOffset(offsetMinutes())

    /**
     * Keeps the database open while [work] runs. A screen that shows the device does its work in here; when the last one leaves, the
     * database is closed and its lock is let go, so that a frozen app holds nothing.
     */
    suspend fun <T> inUse(work: suspend () -> T): T {
        use.withLock {
            if (paused) {
                withContext(disk) { device.resumeUse() }
                paused = false
            }
            users += 1
        }
        try {
            return work()
        } finally {
            withContext(NonCancellable) {
                use.withLock {
                    users -= 1
                    if (users == 0) {
                        withContext(disk) { device.pause() }
                        paused = true
                    }
                }
            }
        }
    }

    internal suspend fun <T> onDisk(work: () -> T): T = inUse { withContext(disk) { work() } }

    /** Closes the device for good. */
    override fun close() {
        device.pause()
        device.close()
    }
}
