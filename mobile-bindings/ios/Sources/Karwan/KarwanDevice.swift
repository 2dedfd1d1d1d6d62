// The device as an app's Swift code wants it: an actor, so that no screen waits for the disk, with a sync as a stream that ends with
// its reader and changes as a stream that screens follow.

import Foundation

/// Where a device lives: `folder` for its database, `witness` outside of it and outside of backups.
public struct Place: Sendable {
    public let folder: URL
    public let witness: URL

    public init(folder: URL, witness: URL) {
        self.folder = folder
        self.witness = witness
    }

    /// In Application Support, the witness marked so that neither iCloud nor a computer backs it up.
    public static func standard(name: String = "karwan") throws -> Place {
        let support = try FileManager.default.url(
            for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
        var witness = support.appendingPathComponent("\(name)-witness", isDirectory: true)
        try FileManager.default.createDirectory(at: witness, withIntermediateDirectories: true)
        var values = URLResourceValues()
        values.isExcludedFromBackup = true
        try witness.setResourceValues(values)
        return Place(folder: support.appendingPathComponent(name, isDirectory: true), witness: witness)
    }

    /// Somebody enrolled here before.
    public var holdsDevice: Bool {
        ["identity", "device.db"].contains { FileManager.default.fileExists(atPath: folder.appendingPathComponent($0).path) }
    }
}

/// Keeps the 32 bytes that open the database.
public protocol DeviceKey: Sendable {
    /// The key; made when it is asked for the first time.
    func bytes() throws -> Data
}

/// How a sync goes.
public enum SyncState: Sendable {
    /// It is under way.
    case running(SyncProgress)
    /// It is over; always the last.
    case done(SyncSummary)
}

/// How a meeting with another phone goes.
public enum MeetingState: Sendable {
    /// Nobody has come yet: show the text as a QR code. It is for one phone, once.
    case waiting(String)
    /// The other phone is here.
    case running(SyncProgress)
    /// It is over; always the last.
    case done(SyncSummary)
}

/// A device that has joined an organisation.
public actor KarwanDevice {
    private let device: Device
    private var users = 0
    private var paused = false

    private init(_ device: Device) {
        self.device = device
    }

    /// Joins an organisation with an invitation's text; needs the network, once.
    public static func enrol(
        place: Place, key: DeviceKey, invitation: String, name: String, person: String? = nil
    ) async throws -> KarwanDevice {
        let device = try await Karwan.enrol(
            folder: place.folder.path, witness: place.witness.path, key: key.bytes(), invitation: invitation, name: name,
            person: person, utcOffsetMinutes: offsetMinutes())
        return KarwanDevice(device)
    }

    /// Opens a device that joined before. It may wait for the disk: not for the main thread.
    public static func open(place: Place, key: DeviceKey) async throws -> KarwanDevice {
        let bytes = try key.bytes()
        return try await Task.detached {
            KarwanDevice(
                try openDevice(
                    folder: place.folder.path, witness: place.witness.path, key: bytes, utcOffsetMinutes: offsetMinutes()))
        }.value
    }

    /// What was saved from a damaged database when the device was opened: tell the person, and the administrator.
    public nonisolated var salvaged: Salvage? { device.salvaged() }

    /// The forms that may be filled.
    public func forms() throws -> [FormSummary] { try inUse { try device.forms() } }

    /// Interviews and entities: drafts first, then the newest first.
    public func records(
        search: String = "", mine: Bool = false, entities: Bool? = nil, source: String? = nil, limit: UInt32 = 0
    ) throws -> [RecordSummary] {
        try inUse { try device.list(search: search, mine: mine, entities: entities, source: source, limit: limit, offset: 0) }
    }

    /// A record, draft or entity with where each value is from.
    public func show(_ record: String) throws -> RecordDetail { try inUse { try device.show(record: record) } }

    /// What a person must decide.
    public func openItems() throws -> [OpenItem] { try inUse { try device.openItems() } }

    /// How far the server's clock was ahead at the last sync.
    public func clockAheadMs() throws -> Int64? { try inUse { try device.clockAheadMs() } }

    /// Begins an interview.
    public func start(_ form: String, caseload: String? = nil, person: String? = nil) throws -> Interview {
        try inUse { try device.start(form: form, caseload: caseload, person: person) }
    }

    /// Goes on with a draft, also one that a killed app left.
    public func resume(_ record: String) throws -> Interview { try inUse { try device.resume(record: record) } }

    /// Begins to change a finished record.
    public func edit(_ record: String, person: String? = nil) throws -> Interview {
        try inUse { try device.edit(record: record, person: person) }
    }

    /// Throws a draft away.
    public func discard(_ record: String) throws { try inUse { try device.discard(record: record) } }

    /// Works with an interview: its calls read and write the database, so they belong in here.
    public func with<T>(_ interview: Interview, _ work: @Sendable (Interview) throws -> T) throws -> T {
        try inUse { try work(interview) }
    }

    /// How far the file is that an answer refers to; nothing where it is not here and nobody asked for it.
    public func attachment(_ answer: String) throws -> Attachment? { try inUse { try device.attachment(answer: answer) } }

    /// Asks for the file that an answer refers to: the next sync brings it.
    public func wantAttachment(_ answer: String) throws { try inUse { try device.wantAttachment(answer: answer) } }

    /// The content of a file that is here whole; nothing of it is written to the phone's storage in the clear.
    public func readAttachment(_ answer: String) throws -> Data { try inUse { try device.readAttachment(answer: answer) } }

    /// Lets a day carry so many bytes of attachments at most, both ways together; nil for as many as there are.
    public func setDataSaver(_ bytesADay: UInt64?) throws { try inUse { try device.setDataSaver(bytesADay: bytesADay) } }

    /// What the data saver allows; nothing where it is off. It outlives the app, and so does what the day has carried.
    public func dataSaver() throws -> DataSaver? { try inUse { try device.dataSaver() } }

    /// Lets photographs and files go that are safe at the server, the oldest first, until all together take at most so many bytes; they are
    /// fetched again with `wantAttachment` and a sync.
    public func freeSpace(keepBytes: UInt64 = 0) throws -> FreedSpace { try inUse { try device.freeSpace(keepBytes: keepBytes) } }

    /// What changed. Ends with its reader.
    public nonisolated func changes() -> AsyncThrowingStream<Changes, Error> {
        AsyncThrowingStream(bufferingPolicy: .unbounded) { stream in
            do {
                let observation = try device.observe(observer: Relay { stream.yield($0) })
                stream.onTermination = { _ in withExtendedLifetime(observation) {} }
            } catch {
                stream.finish(throwing: error)
            }
        }
    }

    /// Syncs while it is read, and ends with its reader: what was done by then is kept.
    public nonisolated func sync(with address: String? = nil) -> AsyncThrowingStream<SyncState, Error> {
        steps { try await self.device.sync(listener: $0, with: address) }
    }

    /// Waits for another phone while it is read, in the same network and with no server; first gives the text to be shown as a QR code.
    /// What comes is provisional until the server's verdict.
    public nonisolated func listen(addresses: [String] = []) -> AsyncThrowingStream<MeetingState, Error> {
        AsyncThrowingStream(bufferingPolicy: .unbounded) { stream in
            let task = Task {
                do {
                    try await self.enter()
                    let outcome = await Result {
                        let listening = try self.device.listen(addresses: addresses)
                        stream.yield(.waiting(listening.text()))
                        let listener = Steps { progress in
                            if progress.phase != .connecting { stream.yield(.running(progress)) }
                            return !Task.isCancelled
                        }
                        return try await listening.meet(listener: listener)
                    }
                    try await self.leave()
                    stream.yield(.done(try outcome.get()))
                    stream.finish()
                } catch {
                    stream.finish(throwing: error)
                }
            }
            stream.onTermination = { _ in task.cancel() }
        }
    }

    /// Syncs with the phone that shows this text while it is read; as `sync` otherwise.
    public nonisolated func syncWith(_ text: String) -> AsyncThrowingStream<SyncState, Error> {
        steps { try await self.device.syncWith(text: text, listener: $0) }
    }

    /// A sync as a stream.
    private nonisolated func steps(
        _ work: @escaping @Sendable (SyncListener) async throws -> SyncSummary
    ) -> AsyncThrowingStream<SyncState, Error> {
        AsyncThrowingStream(bufferingPolicy: .bufferingNewest(1)) { stream in
            let task = Task {
                do {
                    try await self.enter()
                    let listener = Steps { progress in
                        stream.yield(.running(progress))
                        return !Task.isCancelled
                    }
                    let outcome = await Result { try await work(listener) }
                    try await self.leave()
                    stream.yield(.done(try outcome.get()))
                    stream.finish()
                } catch {
                    stream.finish(throwing: error)
                }
            }
            stream.onTermination = { _ in task.cancel() }
        }
    }

    /// The phone is in another zone.
    public func zoneChanged() throws { try device.setUtcOffset(minutes: Self.offsetMinutes()) }

    /// Opens the database if nobody has it open; every call is followed by one of `leave`. A screen that shows the device enters when it
    /// appears. iOS kills an app that is suspended while it holds the database's lock.
    public func enter() throws {
        if paused {
            try device.resumeUse()
            paused = false
        }
        users += 1
    }

    /// The last one to leave closes the database.
    public func leave() throws {
        users -= 1
        if users == 0 {
            try device.pause()
            paused = true
        }
    }

    private func inUse<T>(_ work: () throws -> T) throws -> T {
        try enter()
        let outcome = Result { try work() }
        try leave()
        return try outcome.get()
    }

    private static func offsetMinutes() -> Int32 { Int32(TimeZone.current.secondsFromGMT() / 60) }
}

/// Hands changes to a closure.
private final class Relay: Observer {
    private let tell: @Sendable (Changes) -> Void

    init(_ tell: @escaping @Sendable (Changes) -> Void) {
        self.tell = tell
    }

    func onChanges(changes: Changes) throws { tell(changes) }
}

/// Hands the steps of a sync to a closure.
private final class Steps: SyncListener {
    private let tell: @Sendable (SyncProgress) -> Bool

    init(_ tell: @escaping @Sendable (SyncProgress) -> Bool) {
        self.tell = tell
    }

    func onProgress(progress: SyncProgress) throws -> Bool { tell(progress) }
}

extension Result where Failure == Error {
    fileprivate init(_ work: () async throws -> Success) async {
        do { self = .success(try await work()) } catch { self = .failure(error) }
    }
}
