// Ends what uses the database before iOS suspends the app, and asks for the time that this takes.

#if canImport(UIKit)
import UIKit

/// Keeps the database open while the app is in front, and lets it go in the background. Hold one for as long as the app lives.
@MainActor
public final class BackgroundPause {
    private let device: KarwanDevice
    private var inFront = false
    private var observers: [NSObjectProtocol] = []

    public init(_ device: KarwanDevice) {
        self.device = device
        let centre = NotificationCenter.default
        observers = [
            centre.addObserver(forName: UIApplication.didEnterBackgroundNotification, object: nil, queue: .main) { [weak self] _ in
                MainActor.assumeIsolated { self?.leave() }
            },
            centre.addObserver(forName: UIApplication.willEnterForegroundNotification, object: nil, queue: .main) { [weak self] _ in
                MainActor.assumeIsolated { self?.enter() }
            },
        ]
        enter()
    }

    deinit {
        observers.forEach(NotificationCenter.default.removeObserver)
    }

    private func enter() {
        guard !inFront else { return }
        inFront = true
        let device = device
        Task { try? await device.enter() }
    }

    private func leave() {
        guard inFront else { return }
        inFront = false
        let device = device
        let application = UIApplication.shared
        var time = UIBackgroundTaskIdentifier.invalid
        time = application.beginBackgroundTask { application.endBackgroundTask(time) }
        Task {
            try? await device.leave()
            application.endBackgroundTask(time)
        }
    }
}
#endif
