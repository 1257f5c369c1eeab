import Bridge
import Logging
import ServiceLifecycle
import UnixSignals

/// Has the site read its configuration again at each SIGHUP.
struct ReloadService: Service {
    let site: RunningSiteBox
    let file: String
    let logger: Logger

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup)
        for await _ in signals.cancelOnGracefulShutdown() {
            guard let site = site.site else {
                logger.notice("asked to reload the configuration before the site is up: it has just been read")
                continue
            }
            await site.reload(file, logger: logger)
        }
    }
}
