import Bridge
import NIOConcurrencyHelpers

/// The site for those who ask for its status or have it reload its configuration; empty until it is up.
final class RunningSiteBox: Sendable {
    private let box = NIOLockedValueBox<RunningSite?>(nil)

    var site: RunningSite? {
        get { box.withLockedValue { $0 } }
        set { box.withLockedValue { $0 = newValue } }
    }
}
