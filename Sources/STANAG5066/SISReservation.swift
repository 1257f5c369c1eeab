import NIOCore

/// A physical link that the node is asked to keep up (STANAG 5066 Ed. 3 §A.2.1.18, link type 0).
struct SISReservation: Equatable {
    let link: HardLink
    /// S_HARD_LINK_ESTABLISH is out in this bind, and the link was not refused or ended since.
    var isAsked = false
    /// When it is asked for again.
    var askAt: NIODeadline?

    init(_ link: HardLink) {
        self.link = link
    }
}
